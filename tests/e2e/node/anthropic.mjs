// The official `@anthropic-ai/sdk` for Node.
import Anthropic from "@anthropic-ai/sdk";
import { zodOutputFormat } from "@anthropic-ai/sdk/helpers/zod";
import { z } from "zod";
import { BUDGETS, FORM, RESULT, STOPS, TOOLS, answerOf, given } from "./common.mjs";

const Form = z.object({ city: z.string(), degrees: z.number().int() });

function media(url) {
  if (!url.startsWith("data:")) return { type: "url", url };
  const [media_type, data] = url.slice(5).split(";base64,");
  return { type: "base64", media_type, data };
}

function messagesOf(r) {
  const out = (r.turns ?? []).map(([role, content]) => ({ role, content })), content = [];
  if (r.calls) {
    out.push({ role: "user", content: "What is it like?" });
    out.push({ role: "assistant", content: r.calls.map(([id, name, input]) => ({ type: "tool_use", id, name, input })) });
    for (const [id] of r.calls) content.push({ type: "tool_result", tool_use_id: id, content: RESULT });
  }
  if (r.thoughts) {
    const [thinking, signature] = r.thoughts;
    out.push({ role: "user", content: "Think." });
    out.push({ role: "assistant", content: [{ type: "thinking", thinking, signature }, { type: "text", text: "Done." }] });
  }
  for (const kind of ["image", "document"]) if (r[kind]) content.push({ type: kind, source: media(r[kind]) });
  out.push({ role: "user", content: content.length ? [...content, { type: "text", text: r.text }] : r.text });
  return out;
}

export function anthropic(url, apiKey) {
  const api = new Anthropic({ baseURL: url, apiKey });
  const optionsOf = (r) => ({ maxRetries: r.retries ?? 0, timeout: (r.timeout ?? 30) * 1000 });
  const body = (r) => {
    const choice = r.tool_choice ?? "auto";
    const kind = { required: "any", auto: "auto" }[choice] ?? "tool";
    return {
      model: r.model, max_tokens: r.think ? 20000 : r.max_tokens ?? 500, messages: messagesOf(r), ...given({
        system: r.system, temperature: r.temperature, top_p: r.top_p, stop_sequences: r.stop,
        metadata: r.user && { user_id: r.user },
        tools: r.tools && Object.entries(TOOLS).map(([name, input_schema]) => ({ name, input_schema })),
        tool_choice: r.tool_choice || r.parallel !== undefined ? given({
          type: kind, name: kind === "tool" ? choice : undefined,
          disable_parallel_tool_use: r.parallel === undefined ? undefined : !r.parallel }) : undefined,
        thinking: r.think && { type: "enabled", budget_tokens: BUDGETS[r.think] },
        output_config: r.schema && { format: { type: "json_schema", schema: FORM } },
      }), ...r.extra,
    };
  };
  const read = (message) => {
    const of = (type) => message.content.filter((block) => block.type === type);
    const { usage } = message;
    return answerOf({
      text: of("text").map((b) => b.text).join(""), calls: of("tool_use").map((b) => [b.id, b.name, b.input]),
      stop: STOPS[message.stop_reason], request_id: message._request_id ?? "",
      usage: [usage.input_tokens + usage.cache_read_input_tokens, usage.cache_read_input_tokens, usage.output_tokens],
      thought: of("thinking").map((b) => b.thinking).join(""), signature: of("thinking").map((b) => b.signature).join(""),
    });
  };
  const formed = (r) => ({ ...body(r), output_config: { format: zodOutputFormat(Form) } });
  return {
    ask: async (r) => read(await api.messages.create(body(r), optionsOf(r))),
    stream: async (r) => {
      let pieces = 0;
      const stream = api.messages.stream(body(r), optionsOf(r));
      for await (const event of stream) pieces += event.type === "content_block_delta" ? 1 : 0;
      return { ...read(await stream.finalMessage()), pieces };
    },
    structured: async (r) => (await api.messages.parse(formed(r), optionsOf(r))).parsed_output,
    structured_stream: async (r) => (await api.messages.stream(formed(r), optionsOf(r)).finalMessage()).parsed_output,
    cancel: async (r) => {
      const stream = await api.messages.create({ ...body(r), stream: true }, optionsOf(r));
      for await (const event of stream) if (event.type === "content_block_delta") break;
    },
    models: async () => { const out = []; for await (const model of api.models.list()) out.push(model.id); return out; },
    count: async (r) => (await api.messages.countTokens({ model: r.model, messages: messagesOf(r) })).input_tokens,
  };
}
