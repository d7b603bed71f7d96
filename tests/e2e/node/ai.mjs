// Vercel's `ai` with @ai-sdk/openai (chat and Responses) and @ai-sdk/anthropic.
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { Output, embedMany, generateText, jsonSchema, stepCountIs, streamText, tool } from "ai";
import { BUDGETS, FORM, RESULT, STOPS, TOOLS, answerOf, given } from "./common.mjs";

const file = (url, mediaType) => {
  const data = url.startsWith("data:") ? url.split(";base64,")[1] : new URL(url);
  return { type: "file", data, mediaType };
};

function messagesOf(r) {
  const out = (r.turns ?? []).map(([role, content]) => ({ role, content }));
  if (r.calls) {
    out.push({ role: "user", content: "What is it like?" });
    out.push({ role: "assistant", content: r.calls.map(([toolCallId, toolName, input]) => (
      { type: "tool-call", toolCallId, toolName, input })) });
    out.push({ role: "tool", content: r.calls.map(([toolCallId, toolName]) => (
      { type: "tool-result", toolCallId, toolName, output: { type: "text", value: RESULT } })) });
  }
  if (r.thoughts) {
    const [text, signature] = r.thoughts;
    out.push({ role: "user", content: "Think." });
    out.push({ role: "assistant", content: [
      { type: "reasoning", text, providerOptions: { anthropic: { signature } } }, { type: "text", text: "Done." }] });
  }
  const parts = [];
  if (r.image) parts.push(file(r.image, "image/png"));
  if (r.document) parts.push({ ...file(r.document, "application/pdf"), filename: "a.pdf" });
  out.push({ role: "user", content: [...parts, { type: "text", text: r.text }] });
  return out;
}

function make(modelOf, options, embedding) {
  const toolsOf = (execute) => Object.fromEntries(Object.entries(TOOLS).map(([name, schema]) => (
    [name, tool({ description: name, inputSchema: jsonSchema(schema), execute })])));
  const fields = (r) => ({
    model: modelOf(r.model), messages: messagesOf(r), maxRetries: r.retries ?? 0,
    abortSignal: AbortSignal.timeout((r.timeout ?? 30) * 1000), ...given({
      system: r.system, temperature: r.temperature, topP: r.top_p, seed: r.seed, stopSequences: r.stop,
      maxOutputTokens: r.think ? 20000 : r.max_tokens, tools: r.tools && toolsOf(),
      toolChoice: r.tool_choice && (r.tool_choice === "required" ? "required" : { type: "tool", toolName: r.tool_choice }),
      output: r.schema && Output.object({ schema: jsonSchema(FORM), name: "form" }), providerOptions: options(r),
    }),
  });
  const thrown = async (stream) => { // its errors come as parts
    let pieces = 0;
    for await (const part of stream.fullStream) {
      if (part.type === "error") throw typeof part.error === "object" ? part.error : new Error(part.error);
      if (part.type === "abort") throw new Error("aborted");
      pieces += part.type.endsWith("-delta") ? 1 : 0;
    }
    return pieces;
  };
  const read = ({ text, toolCalls, finishReason, usage, reasoning, response }) => {
    const headers = response.headers ?? {};
    return answerOf({
      text, calls: toolCalls.map((call) => [call.toolCallId, call.toolName, call.input]), stop: STOPS[finishReason],
      usage: [usage.inputTokens, usage.inputTokenDetails?.cacheReadTokens ?? usage.cachedInputTokens ?? null, usage.outputTokens],
      thought: reasoning.map((part) => part.text).join(""), request_id: headers["x-request-id"] ?? headers["request-id"] ?? "",
      signature: reasoning.map((part) => part.providerMetadata?.anthropic?.signature ?? "").join(""),
    });
  };
  const formed = (r) => ({ ...fields(r), output: Output.object({ schema: jsonSchema(FORM), name: "form" }) });
  return {
    ask: async (r) => read(await generateText(fields(r))),
    stream: async (r) => {
      const stream = streamText({ ...fields(r), onError: () => {} });
      const pieces = await thrown(stream);
      const [text, toolCalls, finishReason, usage, reasoning, response] = await Promise.all([
        stream.text, stream.toolCalls, stream.finishReason, stream.usage, stream.reasoning, stream.response]);
      return { ...read({ text, toolCalls, finishReason, usage, reasoning, response }), pieces };
    },
    structured: async (r) => (await generateText(formed(r))).output,
    structured_stream: async (r) => {
      const stream = streamText({ ...formed(r), onError: () => {} });
      await thrown(stream);
      return stream.output;
    },
    loop: async (r) => (await generateText({ ...fields(r), tools: toolsOf(async () => RESULT), stopWhen: stepCountIs(5) })).text,
    cancel: async (r) => {
      const control = new AbortController();
      const stream = streamText({ ...fields(r), abortSignal: control.signal, onError: () => {}, onAbort: () => {} });
      for await (const _ of stream.textStream) break;
      control.abort();
    },
    embed: async ({ model, texts }) => (await embedMany({ model: embedding(model), values: texts, maxRetries: 0 })).embeddings,
  };
}

const openaiOptions = (r) => ({ openai: given({
  user: r.user, metadata: r.metadata, parallelToolCalls: r.parallel, reasoningEffort: r.think, forceReasoning: r.think && true,
  reasoningSummary: r.think && r.summary, strictJsonSchema: true }) });

export function ai_openai_chat(url, apiKey) {
  const provider = createOpenAI({ baseURL: url + "/v1", apiKey });
  return make((model) => provider.chat(model), openaiOptions, (model) => provider.embedding(model));
}

// The SDK names earlier items by their ids: those that the gateway keeps, where the provider does not.
export function ai_openai_responses(url, apiKey) {
  const provider = createOpenAI({ baseURL: url + "/v1", apiKey });
  const options = (r) => openaiOptions({ ...r, summary: "auto" });
  return make((model) => provider.responses(model), options, (model) => provider.embedding(model));
}

export function ai_anthropic(url, apiKey) {
  const provider = createAnthropic({ baseURL: url + "/v1", apiKey });
  return make((model) => provider(model), (r) => ({ anthropic: given({
    thinking: r.think && { type: "enabled", budgetTokens: BUDGETS[r.think] }, metadata: r.user && { userId: r.user },
    disableParallelToolUse: r.parallel === undefined ? undefined : !r.parallel }) }));
}
