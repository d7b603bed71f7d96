// `@langchain/openai`.
import { AIMessage, HumanMessage, SystemMessage, ToolMessage } from "@langchain/core/messages";
import { ChatOpenAI, OpenAIEmbeddings } from "@langchain/openai";
import { FORM, RESULT, STOPS, TOOLS, answerOf, given } from "./common.mjs";

export function langchain_openai(url, apiKey) {
  const configuration = { baseURL: url + "/v1" };
  const modelOf = (r) => new ChatOpenAI({
    model: r.model, apiKey, configuration, maxRetries: r.retries ?? 0, timeout: (r.timeout ?? 30) * 1000, streamUsage: true,
    useResponsesApi: false, ...given({
      temperature: r.temperature, topP: r.top_p, maxTokens: r.max_tokens, stop: r.stop, user: r.user,
      reasoning: r.think && { effort: r.think },
      modelKwargs: r.extra || r.metadata || r.seed ? given({ ...r.extra, metadata: r.metadata, seed: r.seed }) : undefined }),
  });
  const bound = (r) => r.tools ? modelOf(r).bindTools(
    Object.entries(TOOLS).map(([name, parameters]) => ({ type: "function", function: { name, parameters } })),
    given({ tool_choice: r.tool_choice, parallel_tool_calls: r.parallel })) : modelOf(r);
  const messagesOf = (r) => {
    const out = r.system ? [new SystemMessage(r.system)] : [];
    for (const [role, text] of r.turns ?? []) out.push(role === "user" ? new HumanMessage(text) : new AIMessage(text));
    if (r.calls) {
      out.push(new HumanMessage("What is it like?"));
      out.push(new AIMessage({ content: "", tool_calls: r.calls.map(([id, name, args]) => ({ id, name, args })) }));
      for (const [tool_call_id] of r.calls) out.push(new ToolMessage({ content: RESULT, tool_call_id }));
    }
    const parts = [];
    if (r.image) parts.push({ type: "image_url", image_url: { url: r.image } });
    if (r.document) parts.push({ type: "file", file: { filename: "a.pdf", file_data: r.document } });
    out.push(new HumanMessage({ content: parts.length ? [...parts, { type: "text", text: r.text }] : r.text }));
    return out;
  };
  const read = (message, pieces = 0) => answerOf({
    text: message.text, calls: message.tool_calls.map((call) => [call.id, call.name, call.args]),
    stop: STOPS[message.response_metadata.finish_reason], refusal: message.additional_kwargs.refusal ?? "", pieces,
    usage: [message.usage_metadata.input_tokens, message.usage_metadata.input_token_details?.cache_read ?? null,
      message.usage_metadata.output_tokens],
  });
  const formed = (r) => modelOf(r).withStructuredOutput({ ...FORM, title: "form" }, { method: "jsonSchema" });
  return {
    ask: async (r) => read(await bound(r).invoke(messagesOf(r))),
    stream: async (r) => {
      let whole, pieces = 0;
      for await (const piece of await bound(r).stream(messagesOf(r))) {
        whole = whole ? whole.concat(piece) : piece;
        ++pieces;
      }
      return read(whole, pieces);
    },
    structured: async (r) => formed(r).invoke(messagesOf(r)),
    structured_stream: async (r) => {
      let last;
      for await (const piece of await formed(r).stream(messagesOf(r))) last = piece;
      return last;
    },
    loop: async (r) => {
      const said = messagesOf(r);
      for (;;) {
        const message = await bound({ ...r, tools: true }).invoke(said);
        if (!message.tool_calls.length) return message.text;
        said.push(message, ...message.tool_calls.map((call) => new ToolMessage({ content: RESULT, tool_call_id: call.id })));
      }
    },
    cancel: async (r) => { for await (const _ of await modelOf(r).stream(messagesOf(r))) break; },
    embed: async ({ model, texts }) => new OpenAIEmbeddings({ model, apiKey, configuration }).embedDocuments(texts),
  };
}
