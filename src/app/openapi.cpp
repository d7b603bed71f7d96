#include "app/openapi.hpp"

#include "app/places.hpp"
#include "json/write.hpp"
#include "leeway_build_info.hpp"

#include <array>
#include <string_view>

namespace leeway::app {
namespace {

using json::Writer;
using wire::Dialect;
using PlaceKind = Place::Kind;

// What is read of a body. Members that are not named pass through to the provider as they are.
constexpr std::string_view kSchemas = R"json({
"ChatRequest": {"type": "object", "required": ["model", "messages"], "properties": {
  "model": {"type": "string", "minLength": 1},
  "messages": {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/ChatMessage"}},
  "stream": {"type": "boolean"},
  "stream_options": {"type": "object", "properties": {"include_usage": {"type": "boolean"}}},
  "max_tokens": {"type": "integer", "minimum": 1, "maximum": 1000000},
  "max_completion_tokens": {"type": "integer", "minimum": 1, "maximum": 1000000},
  "n": {"type": "integer", "minimum": 1, "maximum": 128},
  "temperature": {"type": "number", "minimum": 0, "maximum": 2},
  "top_p": {"type": "number", "minimum": 0, "maximum": 1},
  "stop": {"oneOf": [{"type": "string"}, {"type": "array", "maxItems": 4, "items": {"type": "string"}}]},
  "seed": {"type": "integer"},
  "user": {"type": "string"},
  "tools": {"type": "array", "items": {"$ref": "#/components/schemas/ChatTool"}},
  "response_format": {"type": "object", "required": ["type"], "properties": {
    "type": {"enum": ["text", "json_object", "json_schema"]}}}}},
"ChatMessage": {"type": "object", "required": ["role", "content"], "properties": {
  "role": {"enum": ["system", "developer", "user", "assistant"]},
  "content": {"oneOf": [{"type": "string"}, {"type": "array", "minItems": 1, "items": {"type": "object",
    "required": ["type", "text"], "properties": {"type": {"const": "text"}, "text": {"type": "string"}}}}]}}},
"ChatTool": {"type": "object", "required": ["type", "function"], "properties": {
  "type": {"const": "function"},
  "function": {"type": "object", "required": ["name"], "properties": {
    "name": {"type": "string", "pattern": "^[a-zA-Z0-9_-]{1,64}$"}, "description": {"type": "string"},
    "parameters": {"type": "object"}}}}},
"CompletionRequest": {"type": "object", "required": ["model", "prompt"], "properties": {
  "model": {"type": "string", "minLength": 1},
  "prompt": {"oneOf": [{"type": "string"}, {"type": "array", "minItems": 1, "items": {"type": "string"}}]},
  "max_tokens": {"type": "integer", "minimum": 0, "maximum": 1000000},
  "stream": {"type": "boolean"}, "echo": {"type": "boolean"},
  "n": {"type": "integer", "minimum": 1, "maximum": 128}}},
"EmbeddingRequest": {"type": "object", "required": ["model", "input"], "properties": {
  "model": {"type": "string", "minLength": 1},
  "input": {"oneOf": [{"type": "string", "minLength": 1},
    {"type": "array", "minItems": 1, "items": {"type": "string", "minLength": 1}}]},
  "encoding_format": {"enum": ["float", "base64"]},
  "dimensions": {"type": "integer", "minimum": 1}}},
"RerankRequest": {"type": "object", "required": ["model", "query", "documents"], "properties": {
  "model": {"type": "string", "minLength": 1}, "query": {"type": "string"},
  "documents": {"type": "array", "minItems": 1, "items": {"type": "string"}},
  "top_n": {"type": "integer", "minimum": 1}}},
"ResponsesRequest": {"type": "object", "required": ["model", "input"], "properties": {
  "model": {"type": "string", "minLength": 1},
  "input": {"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "object"}}]},
  "instructions": {"type": "string"},
  "previous_response_id": {"type": ["string", "null"]},
  "store": {"type": ["boolean", "null"]},
  "stream": {"type": "boolean"},
  "max_output_tokens": {"type": "integer", "minimum": 1, "maximum": 1000000},
  "tools": {"type": "array", "items": {"type": "object"}}}},
"MessagesRequest": {"type": "object", "required": ["model", "max_tokens", "messages"], "properties": {
  "model": {"type": "string", "minLength": 1},
  "max_tokens": {"type": "integer", "minimum": 1, "maximum": 1000000},
  "messages": {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/Message"}},
  "system": {"type": "string"},
  "stream": {"type": "boolean"},
  "temperature": {"type": "number", "minimum": 0, "maximum": 1},
  "stop_sequences": {"type": "array", "items": {"type": "string"}}}},
"Message": {"type": "object", "required": ["role", "content"], "properties": {
  "role": {"enum": ["user", "assistant"]},
  "content": {"oneOf": [{"type": "string"}, {"type": "array", "minItems": 1, "items": {"type": "object",
    "required": ["type", "text"], "properties": {"type": {"const": "text"}, "text": {"type": "string"}}}}]}}},
"CountTokensRequest": {"type": "object", "required": ["model", "messages"], "properties": {
  "model": {"type": "string", "minLength": 1},
  "messages": {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/Message"}},
  "system": {"type": "string"}}},
"GenerateContentRequest": {"type": "object", "required": ["contents"], "properties": {
  "contents": {"type": "array", "minItems": 1, "items": {"type": "object", "required": ["parts"], "properties": {
    "role": {"enum": ["user", "model"]},
    "parts": {"type": "array", "minItems": 1, "items": {"type": "object", "required": ["text"],
      "properties": {"text": {"type": "string"}}}}}}},
  "generationConfig": {"type": "object", "properties": {
    "maxOutputTokens": {"type": "integer", "minimum": 1, "maximum": 1000000},
    "temperature": {"type": "number", "minimum": 0, "maximum": 2}}}}},
"EmbedContentRequest": {"type": "object", "required": ["content"], "properties": {
  "content": {"type": "object", "required": ["parts"], "properties": {
    "parts": {"type": "array", "minItems": 1, "items": {"type": "object", "required": ["text"],
      "properties": {"text": {"type": "string", "minLength": 1}}}}}},
  "taskType": {"type": "string"}, "title": {"type": "string"},
  "outputDimensionality": {"type": "integer", "minimum": 1}}},
"BatchEmbedContentsRequest": {"type": "object", "required": ["requests"], "properties": {
  "requests": {"type": "array", "minItems": 1,
    "items": {"$ref": "#/components/schemas/EmbedContentRequest"}}}},
"FeedbackRequest": {"type": "object", "required": ["id"], "additionalProperties": false, "properties": {
  "id": {"type": "string", "minLength": 1, "maxLength": 256},
  "value": {"oneOf": [{"type": "boolean"}, {"type": "number", "minimum": 0, "maximum": 1}, {"type": "null"}]},
  "comment": {"type": ["string", "null"]}, "correction": {"type": ["string", "null"]}}},
"ContentStream": {"type": "array", "items": {"type": "object"}},
"BatchRequest": {"type": "object", "required": ["input_file_id", "endpoint", "completion_window"], "properties": {
  "input_file_id": {"type": "string", "minLength": 1}, "endpoint": {"type": "string"},
  "completion_window": {"const": "24h"}, "metadata": {"type": ["object", "null"]}}},
"MessageBatchRequest": {"type": "object", "required": ["requests"], "properties": {
  "requests": {"type": "array", "minItems": 1, "items": {"type": "object", "required": ["custom_id", "params"],
    "properties": {"custom_id": {"type": "string", "minLength": 1, "maxLength": 64},
      "params": {"$ref": "#/components/schemas/MessagesRequest"}}}}}},
"FileUpload": {"type": "object", "required": ["purpose", "file"], "properties": {
  "purpose": {"type": "string"}, "file": {"type": "string", "format": "binary"}}},
"OpenAiError": {"type": "object", "required": ["error"], "properties": {"error": {"type": "object",
  "required": ["message", "type"], "properties": {"message": {"type": "string"}, "type": {"type": "string"},
    "param": {"type": ["string", "null"]}, "code": {"type": ["string", "null"]}}}}},
"AnthropicError": {"type": "object", "required": ["type", "error"], "properties": {"type": {"const": "error"},
  "error": {"type": "object", "required": ["type", "message"], "properties": {"type": {"type": "string"},
    "message": {"type": "string"}}}, "request_id": {"type": ["string", "null"]}}},
"GeminiError": {"type": "object", "required": ["error"], "properties": {"error": {"type": "object",
  "required": ["code", "message", "status"], "properties": {"code": {"type": "integer"},
    "message": {"type": "string"}, "status": {"type": "string"}}}}}
})json";

constexpr std::string_view kSecuritySchemes = R"json({
"bearer": {"type": "http", "scheme": "bearer", "description": "a Leeway key"},
"x-api-key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
"x-goog-api-key": {"type": "apiKey", "in": "header", "name": "x-goog-api-key"},
"key": {"type": "apiKey", "in": "query", "name": "key"}})json";

constexpr std::string_view kAdminPaths = R"json(
"/healthz": {"servers": [{"url": "http://127.0.0.1:8485", "description": "the admin port"}], "get": {
  "operationId": "health", "tags": ["admin"], "security": [], "summary": "The process runs",
  "responses": {"200": {"description": "It does."}}}},
"/readyz": {"servers": [{"url": "http://127.0.0.1:8485", "description": "the admin port"}], "get": {
  "operationId": "readiness", "tags": ["admin"], "security": [], "summary": "Requests may be sent here",
  "responses": {"200": {"description": "They may."}, "503": {"description": "Not now; the body says why."}}}},
"/metrics": {"servers": [{"url": "http://127.0.0.1:8485", "description": "the admin port"}], "get": {
  "operationId": "metrics", "tags": ["admin"], "security": [], "summary": "Metrics for Prometheus",
  "responses": {"200": {"description": "The text format 0.0.4.", "content": {"text/plain": {"schema":
    {"type": "string"}}}}}}})json";

/// Of a body in JSON; empty: no body, or none in JSON.
std::string_view schema_of(const Place& place) {
    switch (place.kind) {
        case PlaceKind::kCompletions: return "CompletionRequest";
        case PlaceKind::kEmbeddings:
            if (place.dialect != Dialect::kGemini) return "EmbeddingRequest";
            return place.pattern.ends_with(":embedContent") ? "EmbedContentRequest"
                                                            : "BatchEmbedContentsRequest";
        case PlaceKind::kRerank: return "RerankRequest";
        case PlaceKind::kCountTokens:
            return place.dialect == Dialect::kGemini ? "GenerateContentRequest"
                                                     : "CountTokensRequest";
        case PlaceKind::kFeedback: return "FeedbackRequest";
        case PlaceKind::kModels:
        case PlaceKind::kModel:
        case PlaceKind::kResponse:
        case PlaceKind::kResponseInput:
        case PlaceKind::kResponseCancel:
        case PlaceKind::kFiles:
        case PlaceKind::kFile:
        case PlaceKind::kFileContent:
        case PlaceKind::kBatch:
        case PlaceKind::kBatchCancel:
        case PlaceKind::kBatchResults: return {};
        case PlaceKind::kBatches:
            return place.dialect == Dialect::kAnthropic ? "MessageBatchRequest" : "BatchRequest";
        case PlaceKind::kChat: break;
    }
    if (place.dialect == Dialect::kAnthropic) return "MessagesRequest";
    if (place.dialect == Dialect::kGemini) return "GenerateContentRequest";
    return place.dialect == Dialect::kOpenAiResponses ? "ResponsesRequest" : "ChatRequest";
}

std::string_view error_schema_of(const Place& place) {
    if (place.dialect == Dialect::kAnthropic) return "AnthropicError";
    return place.dialect == Dialect::kGemini ? "GeminiError" : "OpenAiError";
}

void add_schema(Writer& json, std::string_view name) {
    json.key("schema").object().key("$ref");
    json.string("#/components/schemas/" + std::string(name)).close_object();
}

/// `schema`: of its JSON; empty: any object.
void add_answer(Writer& json, std::string_view status, std::string_view text,
                std::string_view schema, bool streams) {
    json.key(status).object().key("description").string(text).key("content").object();
    json.key("application/json").object();
    if (schema.empty()) {
        json.key("schema").object().key("type").string("object").close_object();
    } else {
        add_schema(json, schema);
    }
    json.close_object();
    if (streams) {
        json.key("text/event-stream").object().close_object();
    }
    json.close_object().close_object();
}

void add_parameter(Writer& json, const Place& place) {
    const std::size_t begin = place.pattern.find('{');
    if (begin == std::string_view::npos) return;
    const std::size_t end = place.pattern.find('}', begin);
    json.key("parameters").array().object().key("name");
    json.string(place.pattern.substr(begin + 1, end - begin - 1));
    json.key("in").string("path").key("required").boolean(true).key("schema").object();
    json.key("type").string("string").key("minLength").integer(1);
    json.close_object().close_object();
    if (place.stream) {
        json.object().key("name").string("alt").key("in").string("query");
        json.key("description").string("sse: events; else one array of them.");
        json.key("schema").object().key("type").string("string").close_object().close_object();
    }
    json.close_array();
}

void add_body(Writer& json, const Place& place) {
    const std::string_view body = schema_of(place);
    const bool uploads = place.kind == PlaceKind::kFiles;
    if (body.empty() && !uploads) return;
    json.key("requestBody").object().key("required").boolean(true).key("content").object();
    json.key(uploads ? "multipart/form-data" : "application/json").object();
    add_schema(json, uploads ? "FileUpload" : body);
    json.close_object().close_object().close_object();
}

/// `method` in lower case. A place with two of them has two operations, told apart by it.
void add_operation(Writer& json, const Place& place, std::string_view method, bool alone) {
    const bool posts = method == "post";
    std::string name(place.name);
    if (!alone) {
        name = (posts ? "create_" : method == "get" ? "read_" : "delete_") + name;
    }
    json.key(method).object();
    json.key("operationId").string(name).key("summary").string(place.title);
    json.key("tags").array().string(to_string(place.dialect)).close_array();
    add_parameter(json, place);
    if (posts) add_body(json, place);
    const bool streams = place.kind == PlaceKind::kChat || place.kind == PlaceKind::kCompletions;
    json.key("responses").object();
    const std::string_view whole = place.stream ? "ContentStream" : std::string_view();
    add_answer(json, "200", "The answer, in the form of this API.", whole, streams);
    // Lists and entries of models are answered as the caller's own vendor would.
    const bool own = place.kind == PlaceKind::kModels || place.kind == PlaceKind::kModel;
    const std::string_view error = own ? std::string_view() : error_schema_of(place);
    add_answer(json, "default", "An error; docs/formats/errors.md lists them.", error, false);
    json.close_object().close_object();
}

void add_operations(Writer& json, const Place& place) {
    const std::string_view methods = methods_of(place);
    const bool alone = methods == kReading || methods == kPosting;
    if (allows(methods, "GET")) add_operation(json, place, "get", alone);
    if (allows(methods, "POST")) add_operation(json, place, "post", alone);
    if (allows(methods, "DELETE")) add_operation(json, place, "delete", alone);
}

}  // namespace

std::string openapi_document() {
    std::string out;
    Writer json(out);
    json.object().key("openapi").string("3.1.0").key("info").object();
    json.key("title").string("Leeway").key("version").string(LEEWAY_VERSION);
    json.key("description")
        .string(
            "A gateway between applications and language models. Members of a body that are "
            "not named here pass through.");
    json.close_object();
    json.key("servers").array().object().key("url").string("http://127.0.0.1:8484");
    json.close_object().close_array();
    json.key("security").array();
    for (const std::string_view scheme : {"bearer", "x-api-key", "x-goog-api-key", "key"}) {
        json.object().key(scheme).array().close_array().close_object();
    }
    json.close_array();
    std::string paths;
    for (const Place& place : places()) {
        std::string one;
        Writer path(one);
        path.object();
        add_operations(path, place);
        path.close_object();
        paths += "\n" + json::quoted(place.pattern) + ": " + one + ",";
    }
    json.key("paths").raw("{" + paths + std::string(kAdminPaths) + "}");
    json.key("components").object().key("securitySchemes").raw(kSecuritySchemes);
    json.key("schemas").raw(kSchemas).close_object().close_object();
    return out + "\n";
}

}  // namespace leeway::app
