// What the clients of several SDKs share.
export const RESULT = "sunny";
export const CITY = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
export const TOOLS = {
  get_weather: CITY,
  get_time: { type: "object", properties: { zone: { type: "string" } } },
  ping: { type: "object", properties: {} },
};
export const FORM = {
  type: "object", properties: { city: { type: "string" }, degrees: { type: "integer" } },
  required: ["city", "degrees"], additionalProperties: false,
};
export const BUDGETS = { low: 2048, medium: 8192, high: 16384 };
export const STOPS = {
  stop: "end", tool_calls: "tool", length: "length", content_filter: "refusal", // OpenAI's chat
  end_turn: "end", tool_use: "tool", max_tokens: "length", refusal: "refusal", stop_sequence: "end", // Anthropic's
  "tool-calls": "tool", "content-filter": "refusal", // AI SDK's
};

export const answerOf = (fields) => ({
  text: "", calls: [], stop: "", usage: [], thought: "", signature: "", refusal: "", pieces: 0, request_id: "", ...fields,
});

/** The messages of OpenAI's chat dialect. */
export function chatMessages(r) {
  const out = r.system ? [{ role: r.system_role ?? "system", content: r.system }] : [];
  for (const [role, content] of r.turns ?? []) out.push({ role, content });
  if (r.calls) {
    out.push({ role: "user", content: "What is it like?" });
    out.push({ role: "assistant", content: null, tool_calls: r.calls.map(([id, name, args]) => (
      { id, type: "function", function: { name, arguments: JSON.stringify(args) } })) });
    for (const [id] of r.calls) out.push({ role: "tool", tool_call_id: id, content: RESULT });
  }
  const parts = [];
  if (r.image) parts.push({ type: "image_url", image_url: { url: r.image } });
  if (r.document) parts.push({ type: "file", file: { filename: "a.pdf", file_data: r.document } });
  out.push({ role: "user", content: parts.length ? [...parts, { type: "text", text: r.text }] : r.text });
  return out;
}

/** `fields` without those that are undefined. */
export const given = (fields) => Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
