// The official SDK for Node against the gateway: buffered, streamed, embeddings, models, errors.
import assert from "node:assert/strict";
import OpenAI from "openai";

const client = new OpenAI({ baseURL: process.env.LEEWAY_URL + "/v1", apiKey: process.env.LEEWAY_KEY, maxRetries: 0 });
const ask = (content, more = {}) => ({ model: "gpt-4o", messages: [{ role: "user", content }], ...more });

const buffered = await client.chat.completions.create(ask("node buffered"));
assert.equal(buffered.choices[0].message.content, "Hello from the fake provider");
assert.equal(buffered.usage.prompt_tokens, 1000);

let text = "";
for await (const chunk of await client.chat.completions.create(ask("node streamed", { stream: true }))) {
  assert.equal(chunk.usage, undefined);
  text += chunk.choices[0].delta.content ?? "";
}
assert.equal(text, "Hello from the fake provider");

const embedding = await client.embeddings.create({ model: "gpt-4o", input: "hi", encoding_format: "float" });
assert.deepEqual(embedding.data[0].embedding, [0.5, -0.5]);

const names = [];
for await (const model of client.models.list()) names.push(model.id);
assert.ok(names.includes("support") && names.includes("gpt-4o"));

await assert.rejects(client.chat.completions.create(ask("x", { model: "nope" })), OpenAI.NotFoundError);
await assert.rejects(async () => {
  for await (const _ of await client.chat.completions.create(ask("cut", { stream: true }))) { /* until it breaks */ }
}, OpenAI.APIError);
console.log("ok");
