// agentgateway's recorded translations (Apache-2.0): what ours say differently must be listed, with its reason, in
// tests/golden/translation/differences.txt.

#include "json/node.hpp"
#include "wire/canonical/codec.hpp"
#include "wire/gemini/embed_codec.hpp"
#include "wire/openai/embed_codec.hpp"
#include "wire/openai/sse.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace leeway::wire {
namespace {

namespace fs = std::filesystem;
using json::Node;

std::string read_file(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

fs::path data_folder() {
    const char* told = std::getenv("LEEWAY_TEST_DATA");
    const fs::path data =
        told != nullptr ? fs::path(told) : fs::path(LEEWAY_SOURCE_DIR) / ".." / "shared" / "data";
    return data / "wire" / "cross-protocol";
}

/// What stands behind the snapshot's second "---".
std::string snapshot_body(const std::string& text) {
    const std::size_t end = text.find("\n---\n", 4);
    return end == std::string::npos ? std::string() : text.substr(end + 5);
}

bool is_plain_text(const Node& part) {
    return part.is_object() && part.members.size() == 2 && part.text_of("type") == "text" &&
           part.find("text") != nullptr;
}

/// Ways to say the same thing become one: order of members, null and absent, one text as a list, arguments' blanks.
void normalise(Node& node) {
    for (Node& element : node.elements) normalise(element);
    for (Node::Member& member : node.members) {
        normalise(member.value);
        const bool content =
            member.key == "content" || member.key == "system" || member.key == "output";
        if (content && member.value.is_array() && member.value.elements.size() == 1 &&
            is_plain_text(member.value.elements.front()))
            member.value = Node::string(std::string(member.value.elements.front().text_of("text")));
        if (member.key == "arguments" && member.value.is_string()) {
            if (auto parsed = json::parse_node(member.value.text)) {
                normalise(*parsed);
                member.value = std::move(*parsed);
            }
        }
    }
    std::erase_if(node.members, [](const Node::Member& member) {
        return member.value.is_null() || (member.key == "stream" && member.value.text == "false");
    });
    std::sort(node.members.begin(), node.members.end(),
              [](const Node::Member& a, const Node::Member& b) { return a.key < b.key; });
}

std::string normal(std::string_view body) {
    auto node = json::parse_node(body);
    if (!node) return "not JSON: " + node.error().message;
    normalise(*node);
    return node->json();
}

struct Pair {
    std::string_view folder;
    Dialect from;
    std::string_view suffix;
    Dialect to;
};

class Differences {
public:
    Differences() {
        std::ifstream in(fs::path(LEEWAY_SOURCE_DIR) / "tests/golden/translation/differences.txt");
        for (std::string line; std::getline(in, line);) {
            const std::size_t colon = line.find(": ");
            if (!line.starts_with('#') && colon != std::string::npos)
                listed_.insert(line.substr(0, colon));
        }
    }
    void check(const std::string& name, const std::string& ours, const std::string& theirs) {
        ++cases_;
        const bool listed = listed_.contains(name);
        if (ours == theirs) {
            EXPECT_FALSE(listed) << name << " is listed as different and is not";
            return;
        }
        EXPECT_TRUE(listed) << name << "\n ours   " << ours << "\n theirs " << theirs;
    }
    [[nodiscard]] std::size_t cases() const { return cases_; }

private:
    std::set<std::string> listed_;
    std::size_t cases_ = 0;
};

std::vector<std::pair<std::string, fs::path>> snapshots(const fs::path& folder,
                                                        std::string_view suffix) {
    std::vector<std::pair<std::string, fs::path>> out;
    const std::string ending = "." + std::string(suffix) + ".snap";
    for (const auto& entry : fs::directory_iterator(folder)) {
        const std::string name = entry.path().filename().string();
        if (name.ends_with(ending))
            out.emplace_back(name.substr(0, name.size() - ending.size()), entry.path());
    }
    std::sort(out.begin(), out.end());
    return out;
}

TEST(TranslationData, RequestsAreWhatAgentgatewayMakesOfThem) {
    const fs::path root = data_folder() / "requests";
    if (!fs::exists(root)) GTEST_SKIP() << "no " << root << ": the public data is not there";
    Differences differences;
    for (const Pair& pair :
         {Pair{"completions", Dialect::kOpenAiChat, "anthropic", Dialect::kAnthropic},
          Pair{"completions", Dialect::kOpenAiChat, "vertex-gemini", Dialect::kGemini},
          Pair{"messages", Dialect::kAnthropic, "completions", Dialect::kOpenAiChat},
          Pair{"messages", Dialect::kAnthropic, "responses", Dialect::kOpenAiResponses},
          Pair{"completions", Dialect::kOpenAiChat, "bedrock", Dialect::kBedrock},
          Pair{"messages", Dialect::kAnthropic, "bedrock", Dialect::kBedrock},
          Pair{"responses", Dialect::kOpenAiResponses, "bedrock", Dialect::kBedrock},
          Pair{"responses", Dialect::kOpenAiResponses, "gemini", Dialect::kOpenAiChat}}) {
        for (const auto& [name, path] : snapshots(root / pair.folder, pair.suffix)) {
            const auto request =
                codec_of(pair.from).read_request(read_file(root / pair.folder / (name + ".json")));
            std::string ours;
            if (!request) {
                ours = "refused: " + request.error().message;
            } else {
                RequestTarget target;
                target.model = request->model;
                target.usual_max_tokens = 4096;
                Losses losses;
                const auto written =
                    upstream_codec_of(pair.to).write_request(*request, target, losses);
                ours = written ? normal(*written) : "refused: " + written.error().message;
            }
            auto snapshot = json::parse_node(snapshot_body(read_file(path)));
            ASSERT_TRUE(snapshot) << path;
            const Node* theirs = snapshot->find("request");
            differences.check("requests/" + std::string(pair.folder) + "/" + name + "." +
                                  std::string(pair.suffix),
                              ours, theirs == nullptr ? "none" : normal(theirs->json()));
        }
    }
    EXPECT_GE(differences.cases(), 50U);
}

TEST(TranslationData, EmbeddingsOfVertexAreWhatAgentgatewayMakesOfThem) {
    const fs::path root = data_folder();
    if (!fs::exists(root)) GTEST_SKIP() << "no " << root << ": the public data is not there";
    Differences differences;
    for (const auto& [name, path] : snapshots(root / "requests" / "embeddings", "vertex")) {
        const auto request = openai::read_embed_request(
            read_file(root / "requests" / "embeddings" / (name + ".json")));
        ASSERT_TRUE(request) << path;
        Losses losses;
        const std::string ours = gemini::write_predict_request(*request, losses);
        const auto snapshot = json::parse_node(snapshot_body(read_file(path)));
        ASSERT_TRUE(snapshot) << path;
        differences.check("requests/embeddings/" + name + ".vertex", normal(ours),
                          normal(snapshot->find("request")->json()));
    }
    EXPECT_GE(differences.cases(), 3U);
    const fs::path folder = root / "response" / "vertex";
    const auto answer = gemini::read_embed_answer(read_file(folder / "embeddings.json"),
                                                  usage::Flavour::kGemini, 2);
    ASSERT_TRUE(answer);
    const auto snapshot =
        json::parse_node(snapshot_body(read_file(folder / "embeddings.vertex.snap")));
    ASSERT_TRUE(snapshot);
    const AnswerFor to{"id", "text-embedding-004", 1, true};
    EXPECT_EQ(normal(openai::write_embed_answer(*answer, to, false)),
              normal(snapshot->find("response")->json()));
}

/// What a translated answer means, without what masks hide.
std::string meaning(const ChatAnswer& answer) {
    std::string out = "model=" + answer.model;
    for (const Choice& choice : answer.choices) {
        out += "\n stop=" + std::to_string(static_cast<int>(choice.stop));
        for (const Part& part : choice.parts) {
            if (part.text.empty() && part.kind == Part::Kind::kText) continue;
            out += "\n " + std::to_string(static_cast<int>(part.kind)) + " " + part.name + " " +
                   part.id + " ";
            out += part.kind == Part::Kind::kToolCall ? normal(part.text) : part.text;
        }
    }
    const prices::Usage& usage = answer.usage.usage;
    out += "\n usage=" + std::to_string(usage.input_total()) + "/" +
           std::to_string(usage[prices::Bucket::kCachedInput]) + "/" +
           std::to_string(usage.output_total());
    return out;
}

usage::Flavour flavour_of(Dialect dialect) {
    switch (dialect) {
        case Dialect::kOpenAiChat: return usage::Flavour::kOpenAiChat;
        case Dialect::kOpenAiResponses: return usage::Flavour::kOpenAiResponses;
        case Dialect::kAnthropic: return usage::Flavour::kAnthropic;
        case Dialect::kGemini: return usage::Flavour::kGemini;
        case Dialect::kBedrock: return usage::Flavour::kBedrock;
        case Dialect::kCohere: return usage::Flavour::kCohere;
    }
    return usage::Flavour::kOpenAiChat;
}

constexpr Pair kAnswers[] = {
    {"completions", Dialect::kOpenAiChat, "completions-messages", Dialect::kAnthropic},
    {"completions", Dialect::kOpenAiChat, "completions-responses", Dialect::kOpenAiResponses},
    {"anthropic", Dialect::kAnthropic, "messages-completions", Dialect::kOpenAiChat},
    {"responses", Dialect::kOpenAiResponses, "responses-messages", Dialect::kAnthropic},
    {"vertex-gemini", Dialect::kGemini, "vertex-gemini-completions", Dialect::kOpenAiChat},
    {"bedrock", Dialect::kBedrock, "bedrock-completions", Dialect::kOpenAiChat},
    {"bedrock", Dialect::kBedrock, "bedrock-messages", Dialect::kAnthropic},
    {"bedrock", Dialect::kBedrock, "bedrock-responses", Dialect::kOpenAiResponses},
};

/// Bedrock's answers do not name the model: the caller's name for it is told.
AnswerFor answer_for(const Pair& pair) {
    return {"id", pair.from == Dialect::kBedrock ? "input-model" : "model", 1, true};
}

TEST(TranslationData, AnswersMeanWhatAgentgatewaysMean) {
    const fs::path root = data_folder() / "response";
    if (!fs::exists(root)) GTEST_SKIP() << "no " << root << ": the public data is not there";
    Differences differences;
    for (const Pair& pair : kAnswers) {
        const auto flavour = flavour_of(pair.to);
        for (const auto& [name, path] : snapshots(root / pair.folder, pair.suffix)) {
            const auto answer = upstream_codec_of(pair.from).read_answer(
                read_file(root / pair.folder / (name + ".json")), flavour_of(pair.from));
            ASSERT_TRUE(answer) << path << answer.error().message;
            const std::string body = codec_of(pair.to).write_answer(*answer, answer_for(pair));
            const auto ours = codec_of(pair.to).read_answer(body, flavour);
            ASSERT_TRUE(ours) << body;
            auto snapshot = json::parse_node(snapshot_body(read_file(path)));
            ASSERT_TRUE(snapshot) << path;
            const Node* told = snapshot->find("response");
            ASSERT_NE(told, nullptr) << path;
            const auto theirs = codec_of(pair.to).read_answer(told->json(), flavour);
            ASSERT_TRUE(theirs) << path;
            differences.check("response/" + std::string(pair.folder) + "/" + name + "." +
                                  std::string(pair.suffix),
                              meaning(*ours), meaning(*theirs));
        }
    }
    EXPECT_GE(differences.cases(), 35U);
}

/// Puts a stream together as a client does.
std::optional<ChatAnswer> assemble(Dialect dialect, std::string_view bytes) {
    const auto reader = codec_of(dialect).stream_reader(flavour_of(dialect));
    openai::SseScanner scanner;
    scanner.feed(bytes);
    std::vector<StreamEvent> events;
    openai::SseEvent event;
    while (true) {
        const auto more = scanner.next(event);
        if (!more) return std::nullopt;
        if (!*more && !scanner.finish(event)) break;
        if (!reader->read(event, events)) return std::nullopt;
        if (!event.whole) break;
    }
    reader->end(events);
    ChatAnswer answer;
    Choice& choice = answer.choices.emplace_back();
    std::map<std::uint32_t, Part> parts;
    for (const StreamEvent& one : events) {
        using Kind = StreamEvent::Kind;
        Part& part = parts[one.part];
        switch (one.kind) {
            case Kind::kStart: answer.model = one.model; break;
            case Kind::kText: part.text += one.text; break;
            case Kind::kRefusal:
                part.kind = Part::Kind::kRefusal;
                part.text += one.text;
                break;
            case Kind::kThinking:
                part.kind = Part::Kind::kThinking;
                part.text += one.text;
                break;
            case Kind::kToolCall:
                part.kind = Part::Kind::kToolCall;
                part.id = one.id;
                part.name = one.name;
                break;
            case Kind::kToolArguments: part.text += one.text; break;
            case Kind::kStop: choice.stop = one.stop; break;
            case Kind::kUsage: answer.usage = one.usage; break;
            case Kind::kSignature:
            case Kind::kRedacted:
            case Kind::kError:
            case Kind::kEnd: break;
        }
    }
    for (auto& [number, part] : parts) choice.parts.push_back(std::move(part));
    return answer;
}

std::string translated_stream(const Pair& pair, std::string_view bytes) {
    const auto reader = upstream_codec_of(pair.from).stream_reader(flavour_of(pair.from));
    const auto writer = codec_of(pair.to).stream_writer(answer_for(pair));
    const auto scanner = upstream_codec_of(pair.from).scanner();
    scanner->feed(bytes);
    std::vector<StreamEvent> events;
    std::string out;
    openai::SseEvent event;
    while (true) {
        const auto more = scanner->next(event);
        if (!more || (!*more && !scanner->finish(event))) break;
        (void)reader->read(event, events);
        if (!event.whole) break;
    }
    reader->end(events);
    for (const StreamEvent& one : events) writer->write(one, out);
    return out;
}

TEST(TranslationData, StreamsMeanWhatAgentgatewaysMean) {
    const fs::path root = data_folder() / "response";
    if (!fs::exists(root)) GTEST_SKIP() << "no " << root << ": the public data is not there";
    Differences differences;
    for (const Pair& pair : kAnswers) {
        for (const auto& [name, path] :
             snapshots(root / pair.folder, std::string(pair.suffix) + "-streaming")) {
            const bool framed = pair.from == Dialect::kBedrock;
            const std::string bytes =
                read_file(root / pair.folder / (name + (framed ? ".bin" : ".json")));
            const std::string stream = translated_stream(pair, bytes);
            const auto ours = assemble(pair.to, stream);
            ASSERT_TRUE(ours) << path << stream;
            std::string told = snapshot_body(read_file(path));
            if (told.empty()) told = read_file(path);
            const std::size_t end = told.rfind("\n{\n");
            if (end != std::string::npos) told.resize(end + 1);
            const auto theirs = assemble(pair.to, told);
            ASSERT_TRUE(theirs) << path;
            differences.check("response/" + std::string(pair.folder) + "/" + name + "." +
                                  std::string(pair.suffix) + "-streaming",
                              meaning(*ours), meaning(*theirs));
        }
    }
    EXPECT_GE(differences.cases(), 19U);
}

}  // namespace
}  // namespace leeway::wire
