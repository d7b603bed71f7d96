#include "models/supervisor.hpp"

#include "models/child_process.hpp"
#include "models/host/http_testing.hpp"
#include "models/host/models_testing.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace leeway::models {
namespace {

using std::chrono::milliseconds;

/// Runs what is posted at once, on the poster's thread.
class Inline final : public Executor {
public:
    void post(std::function<void()> work) override { work(); }
};

Result<void> wait_ready(Supervisor& supervisor) {
    Inline executor;
    std::mutex mutex;
    std::condition_variable changed;
    std::optional<Result<void>> outcome;
    supervisor.when_ready(executor, [&](Result<void> result) {
        const std::scoped_lock lock(mutex);
        outcome.emplace(std::move(result));
        changed.notify_one();
    });
    std::unique_lock lock(mutex);
    const bool came =
        changed.wait_for(lock, std::chrono::minutes(1), [&] { return outcome.has_value(); });
    if (!came) return fail(ErrorCode::kInternal, "the test waited in vain");
    return *outcome;
}

bool wait_for(const std::function<bool()>& condition) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!condition()) {
        if (std::chrono::steady_clock::now() > end) return false;
        std::this_thread::yield();
    }
    return true;
}

class SupervisorTest : public ::testing::Test {
protected:
    SupervisorTest()
        : folder_(std::filesystem::temp_directory_path() /
                  fmt::format("leeway-sup-{}", ::getpid())) {
        std::filesystem::create_directories(folder_);
        options_.socket_path = (folder_ / "host.sock").string();
    }
    ~SupervisorTest() override { std::filesystem::remove_all(folder_); }

    std::filesystem::path folder_;
    SupervisorOptions options_;
};

TEST_F(SupervisorTest, nothing_is_started_before_it_is_needed) {
    options_.program = "/bin/false";
    const Supervisor supervisor(options_);
    EXPECT_EQ(supervisor.state().phase, HostPhase::kIdle);
    EXPECT_EQ(supervisor.state().starts, 0u);
}

TEST_F(SupervisorTest, a_child_that_fails_is_started_again_ever_later) {
    options_.program = "/bin/false";
    options_.first_backoff = milliseconds(7);
    Supervisor supervisor(options_);
    const auto ready = wait_ready(supervisor);
    ASSERT_FALSE(ready);
    EXPECT_EQ(ready.error().code, ErrorCode::kUnavailable);
    EXPECT_NE(ready.error().message.find("exited with status 1 before it listened"),
              std::string::npos)
        << ready.error().message;
    const HostState state = supervisor.ensure_running();
    EXPECT_EQ(state.phase, HostPhase::kBackingOff);
    // 7, 14, 28 … 896 ms are tried while the request waits; the next pause is too long to wait for.
    EXPECT_EQ(state.starts, 9u);
    EXPECT_FALSE(wait_ready(supervisor));
}

TEST_F(SupervisorTest, a_program_that_is_not_there_is_an_error_in_words) {
    options_.program = (folder_ / "nothing").string();
    options_.first_backoff = milliseconds(2'000);
    Supervisor supervisor(options_);
    const auto ready = wait_ready(supervisor);
    ASSERT_FALSE(ready);
    EXPECT_NE(ready.error().message.find("No such file"), std::string::npos)
        << ready.error().message;
}

TEST_F(SupervisorTest, a_child_that_never_listens_is_given_up) {
    options_.program = "/bin/sleep";
    options_.arguments = {"1000"};
    options_.start_limit = milliseconds(50);
    options_.first_backoff = milliseconds(2'000);
    Supervisor supervisor(options_);
    const auto ready = wait_ready(supervisor);
    ASSERT_FALSE(ready);
    EXPECT_NE(ready.error().message.find("did not listen within 50 ms"), std::string::npos);
}

TEST_F(SupervisorTest, stopping_ends_waiting_requests) {
    options_.program = "/bin/sleep";
    options_.arguments = {"1000"};
    Supervisor supervisor(options_);
    Inline executor;
    std::optional<Result<void>> outcome;
    supervisor.when_ready(executor,
                          [&](Result<void> result) { outcome.emplace(std::move(result)); });
    supervisor.stop();  // joins the thread that answers
    ASSERT_TRUE(outcome);
    EXPECT_FALSE(*outcome);
    EXPECT_EQ(supervisor.ensure_running().phase, HostPhase::kStopped);
    EXPECT_FALSE(wait_ready(supervisor));
}

TEST_F(SupervisorTest, a_coroutine_waits_no_longer_than_its_deadline) {
    options_.program = "/bin/sleep";
    options_.arguments = {"1000"};
    Supervisor supervisor(options_);
    net::EventLoop loop;
    struct Test {
        static Task<void> run(net::EventLoop& loop, Supervisor& supervisor, Result<void>& out) {
            constexpr milliseconds kShort{30};
            const net::Timeouts timeouts{kShort, kShort, kShort, kShort};
            net::Deadline deadline(loop, timeouts);
            out = co_await supervisor.wait_ready(loop, deadline);
            loop.stop();
        }
    };
    Result<void> result;
    loop.spawn(Test::run(loop, supervisor, result));
    loop.run();
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, ErrorCode::kUpstreamTimeout);
    supervisor.stop();
}

TEST_F(SupervisorTest, the_child_gets_no_secret_of_ours) {
    const std::string out = (folder_ / "environment").string();
    options_.program = "/bin/sh";
    options_.arguments = {
        "-c", "env > " + out + ".part; mv " + out + ".part " + out + "; exec sleep 1000"};
    options_.environment = {"LEEWAY_LOG_LEVEL=debug"};
    ::setenv("OPENAI_API_KEY", "sk-secret", 1);
    Supervisor supervisor(options_);
    supervisor.ensure_running();
    ASSERT_TRUE(wait_for([&] { return std::filesystem::exists(out); }));
    supervisor.stop();
    ::unsetenv("OPENAI_API_KEY");
    std::ifstream file(out);
    const std::string text((std::istreambuf_iterator<char>(file)),
                           std::istreambuf_iterator<char>());
    EXPECT_EQ(text.find("sk-secret"), std::string::npos);
    EXPECT_NE(text.find(fmt::format("LEEWAY_SUPERVISED_BY={}", ::getpid())), std::string::npos);
    EXPECT_NE(text.find("LEEWAY_LOG_LEVEL=debug"), std::string::npos);
}

TEST(ChildProcess, says_how_it_ended) {
    auto child = ChildProcess::start("/bin/sleep", {"1000"}, {});
    ASSERT_TRUE(child);
    EXPECT_FALSE(child->poll_exit());
    child->send_signal(SIGKILL);
    EXPECT_EQ(child->stop(milliseconds(10'000)), "was killed by SIGKILL");
    auto stubborn =
        ChildProcess::start("/bin/sh", {"-c", "trap '' TERM; while :; do sleep 1; done"}, {});
    ASSERT_TRUE(stubborn);
    EXPECT_FALSE(stubborn->stop(milliseconds(50)).empty());
}

TEST(HostSocketPath, a_long_state_folder_gets_a_short_path_of_its_own) {
    EXPECT_EQ(host_socket_path("/var/lib/leeway").value(), "/var/lib/leeway/model-host.sock");
    const auto first = host_socket_path("/" + std::string(150, 'a'));
    const auto second = host_socket_path("/" + std::string(150, 'b'));
    ASSERT_TRUE(first) << first.error().text();
    EXPECT_LT(first->size(), 108u);
    EXPECT_NE(*first, *second);
}

TEST(HostArguments, are_what_the_command_line_takes) {
    HostSettings settings;
    settings.folder = "/models";
    settings.models = {{"a", "a.gguf", "00ff"}, {"b", "b.gguf", ""}};
    settings.memory_bytes = 1024;
    EXPECT_EQ(host_arguments(settings, "/s"),
              (std::vector<std::string>{"model-host", "--listen", "unix:/s", "--folder", "/models",
                                        "--model", "a=a.gguf@00ff", "--model", "b=b.gguf",
                                        "--threads", "1", "--parallel", "4", "--context", "4096",
                                        "--memory", "1024"}));
}

/// The real program with the real model.
TEST_F(SupervisorTest, a_killed_host_fails_its_request_and_then_works_again) {
    const std::string program = std::string(LEEWAY_BINARY_DIR) + "/leeway";
    if (!std::filesystem::exists(program)) GTEST_SKIP() << program << " is not built";
    const auto file = testing::model_file(testing::kChatModel);
    if (!file) GTEST_SKIP() << testing::skip_text(testing::kChatModel);
    HostSettings settings;
    settings.folder = file->parent_path().string();
    settings.models = {{"chat", testing::kChatModel, ""}};
    settings.memory_bytes = std::uint64_t{2} << 30U;
    settings.log_level = "warn";
    options_.program = program;
    options_.arguments = host_arguments(settings, options_.socket_path);
    options_.environment = host_environment(settings);
    Supervisor supervisor(options_);
    ASSERT_TRUE(wait_ready(supervisor));
    EXPECT_TRUE(supervisor.running());

    const std::string body = R"({"model":"chat","messages":[{"role":"user","content":"Count."}],)"
                             R"("stream":true,"logit_bias":{"2":-100},"max_tokens":)";
    testing::Client client(options_.socket_path);
    client.send("POST", "/v1/chat/completions", body + "1000}");
    ASSERT_TRUE(client.read_some());
    const HostState before = supervisor.state();
    ::kill(before.pid, SIGKILL);
    const testing::Answer cut = client.finish();
    EXPECT_EQ(cut.body.find("[DONE]"), std::string::npos);
    ASSERT_TRUE(wait_for([&] { return supervisor.state().pid != before.pid; }));
    EXPECT_NE(supervisor.crash_error().message.find("was killed by SIGKILL"), std::string::npos)
        << supervisor.crash_error().message;

    ASSERT_TRUE(wait_ready(supervisor));
    EXPECT_EQ(supervisor.state().starts, 2u);
    const testing::Answer again =
        testing::ask(options_.socket_path, "POST", "/v1/chat/completions", body + "3}");
    EXPECT_EQ(again.status, 200);
    EXPECT_NE(again.body.find("[DONE]"), std::string::npos);
    supervisor.stop();
    EXPECT_FALSE(std::filesystem::exists(options_.socket_path));
}

}  // namespace
}  // namespace leeway::models
