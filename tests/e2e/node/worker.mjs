// Drives the SDKs for Node: a line of JSON in is one call of a client, a line out is its answer or what was thrown.
import readline from "node:readline";

const modules = {
  openai_chat: "./openai.mjs", openai_responses: "./openai.mjs", anthropic: "./anthropic.mjs",
  ai_openai_chat: "./ai.mjs", ai_openai_responses: "./ai.mjs", ai_anthropic: "./ai.mjs", langchain_openai: "./langchain.mjs",
};
const name = process.argv[2];
const make = (await import(modules[name]))[name];
const client = make(process.env.LEEWAY_URL, process.env.LEEWAY_KEY);

/** What `error` says: an SDK's own error may lie under one of a framework. */
function failure(error) {
  const under = error.lastError ?? error;
  const headers = under.responseHeaders ?? {};
  return {
    name: ["Error", "DOMException"].includes(under.constructor.name) || under.name.startsWith("AI_") ? under.name : under.constructor.name,
    status: under.status ?? under.statusCode ?? 0, message: String(under.message ?? under),
    request_id: under.requestID ?? under.request_id ?? headers["x-request-id"] ?? headers["request-id"] ?? "",
  };
}

const say = (line) => process.stdout.write(JSON.stringify(line) + "\n");
process.on("unhandledRejection", () => {}); // an SDK's own stream that nobody waits for any more
for await (const line of readline.createInterface({ input: process.stdin })) {
  const { id, op, request } = JSON.parse(line);
  client[op](request).then((answer) => say({ id, answer }), (error) => say({ id, failure: failure(error) }));
}
