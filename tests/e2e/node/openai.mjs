// The official `openai` for Node: chat completions and Responses.
import OpenAI from "openai";
import { zodResponseFormat, zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";
import { FORM, RESULT, STOPS, TOOLS, answerOf, chatMessages, given } from "./common.mjs";

const Form = z.object({ city: z.string(), degrees: z.number().int() });
const optionsOf = (r) => ({ maxRetries: r.retries ?? 0, timeout: (r.timeout ?? 30) * 1000 });
const shared = (url, apiKey) => {
  const api = new OpenAI({ baseURL: url + "/v1", apiKey });
  return {
    api,
    models: async () => { const out = []; for await (const model of api.models.list()) out.push(model.id); return out; },
    embed: async ({ model, texts }) => (await api.embeddings.create({ model, input: texts })).data.map((item) => item.embedding),
  };
};

export function openai_chat(url, key) {
  const { api, ...lists } = shared(url, key);
  const body = (r) => ({
    model: r.model, messages: chatMessages(r), ...given({
      temperature: r.temperature, top_p: r.top_p, seed: r.seed, stop: r.stop, user: r.user, metadata: r.metadata,
      max_completion_tokens: r.max_tokens, parallel_tool_calls: r.parallel, reasoning_effort: r.think,
      tools: r.tools && Object.entries(TOOLS).map(([name, parameters]) => ({ type: "function", function: { name, parameters } })),
      tool_choice: r.tool_choice && (r.tool_choice === "required" ? "required"
        : { type: "function", function: { name: r.tool_choice } }),
      response_format: r.schema && { type: "json_schema", json_schema: { name: "form", schema: FORM, strict: true } },
    }), ...r.extra,
  });
  const usageOf = (usage) => [usage.prompt_tokens, usage.prompt_tokens_details?.cached_tokens ?? 0, usage.completion_tokens];
  const read = (completion) => {
    const [{ message, finish_reason }] = completion.choices;
    return answerOf({
      text: message.content ?? "", refusal: message.refusal ?? "", thought: message.reasoning_content ?? "",
      calls: (message.tool_calls ?? []).map((c) => [c.id, c.function.name, JSON.parse(c.function.arguments)]),
      stop: STOPS[finish_reason], usage: usageOf(completion.usage), request_id: completion._request_id ?? "",
    });
  };
  const streamOf = (r, more) => api.chat.completions.create({ ...body(r), stream: true, ...more }, optionsOf(r));
  return {
    ...lists,
    ask: async (r) => read(await api.chat.completions.create(body(r), optionsOf(r))),
    stream: async (r) => {
      const answer = answerOf({}), calls = [];
      for await (const chunk of await streamOf(r, { stream_options: { include_usage: true } })) {
        if (chunk.usage) {
          if (chunk.choices.length) throw new Error("choices beside the usage");
          answer.usage = usageOf(chunk.usage);
        }
        for (const { delta, finish_reason } of chunk.choices) {
          answer.text += delta.content ?? "";
          answer.refusal += delta.refusal ?? "";
          answer.thought += delta.reasoning_content ?? "";
          answer.pieces += delta.content ? 1 : 0;
          for (const call of delta.tool_calls ?? []) {
            calls[call.index] ??= [call.id, call.function.name, ""];
            calls[call.index][2] += call.function.arguments ?? "";
          }
          answer.stop = finish_reason ? STOPS[finish_reason] : answer.stop;
        }
      }
      answer.calls = calls.map(([id, name, args]) => [id, name, JSON.parse(args)]);
      return answer;
    },
    quiet_stream: async (r) => { const out = []; for await (const chunk of await streamOf(r)) out.push(chunk.usage ?? null); return out; },
    structured: async (r) => (await api.chat.completions.parse(
      { ...body(r), response_format: zodResponseFormat(Form, "form") }, optionsOf(r))).choices[0].message.parsed,
    structured_stream: async (r) => (await api.chat.completions.stream(
      { ...body(r), response_format: zodResponseFormat(Form, "form") }, optionsOf(r)).finalChatCompletion()).choices[0].message.parsed,
    loop: async (r) => {
      const tools = Object.entries(TOOLS).map(([name, parameters]) => (
        { type: "function", function: { name, parameters, parse: JSON.parse, function: () => RESULT } }));
      return api.chat.completions.runTools({ model: r.model, messages: chatMessages(r), tools }, optionsOf(r)).finalContent();
    },
    cancel: async (r) => { for await (const _ of await streamOf(r)) break; },
  };
}

export function openai_responses(url, key) {
  const { api, ...lists } = shared(url, key);
  const body = (r) => {
    const input = (r.turns ?? []).map(([role, content]) => ({ role, content }));
    if (r.calls) {
      input.push({ role: "user", content: "What is it like?" });
      for (const [call_id, name, args] of r.calls) input.push({ type: "function_call", call_id, name, arguments: JSON.stringify(args) });
      for (const [call_id] of r.calls) input.push({ type: "function_call_output", call_id, output: RESULT });
    }
    const parts = [];
    if (r.image) parts.push({ type: "input_image", image_url: r.image, detail: "auto" });
    if (r.document) parts.push({ type: "input_file", filename: "a.pdf", file_data: r.document });
    input.push({ role: "user", content: parts.length ? [...parts, { type: "input_text", text: r.text }] : r.text });
    return {
      model: r.model, input, ...given({
        instructions: r.system, temperature: r.temperature, top_p: r.top_p, user: r.user, metadata: r.metadata,
        max_output_tokens: r.max_tokens, parallel_tool_calls: r.parallel, reasoning: r.think && { effort: r.think, summary: "auto" },
        tools: r.tools && Object.entries(TOOLS).map(([name, parameters]) => ({ type: "function", name, parameters, strict: false })),
        tool_choice: r.tool_choice && (r.tool_choice === "required" ? "required" : { type: "function", name: r.tool_choice }),
        text: r.schema && { format: { type: "json_schema", name: "form", schema: FORM, strict: true } },
      }), ...r.extra,
    };
  };
  const formed = (r) => ({ ...body(r), text: { format: zodTextFormat(Form, "form") } });
  const read = (response) => {
    const of = (type) => response.output.filter((item) => item.type === type);
    const why = response.incomplete_details?.reason ?? "";
    const calls = of("function_call").map((item) => [item.call_id, item.name, JSON.parse(item.arguments)]);
    return answerOf({
      text: response.output_text ?? of("message").flatMap((item) => item.content).map((part) => part.text ?? "").join(""), calls,
      stop: { "": calls.length ? "tool" : "end", max_output_tokens: "length", content_filter: "refusal" }[why],
      usage: [response.usage.input_tokens, response.usage.input_tokens_details.cached_tokens, response.usage.output_tokens],
      thought: of("reasoning").flatMap((item) => item.summary).map((part) => part.text).join(""),
      refusal: of("message").flatMap((item) => item.content).map((part) => part.refusal ?? "").join(""),
      request_id: response._request_id ?? "",
    });
  };
  return {
    ...lists,
    ask: async (r) => read(await api.responses.create(body(r), optionsOf(r))),
    stream: async (r) => {
      let pieces = 0, next = 0;
      const stream = api.responses.stream(body(r), optionsOf(r));
      for await (const event of stream) {
        if (event.sequence_number !== next++) throw new Error(`sequence number ${event.sequence_number}`);
        if (event.type === "error" || event.type === "response.failed") throw new Error(event.message ?? event.response.error.message);
        pieces += event.type.endsWith(".delta") ? 1 : 0;
      }
      return { ...read(await stream.finalResponse()), pieces };
    },
    structured: async (r) => (await api.responses.parse(formed(r), optionsOf(r))).output_parsed,
    structured_stream: async (r) => (await api.responses.stream(formed(r), optionsOf(r)).finalResponse()).output_parsed,
    cancel: async (r) => { for await (const _ of await api.responses.create({ ...body(r), stream: true }, optionsOf(r))) break; },
  };
}
