#include "app/commands/policy_file.hpp"
#include "app/commands/policy_options.hpp"
#include "app/commands/policy_text.hpp"
#include "app/config_names.hpp"
#include "app/config_values.hpp"
#include "app/terminal.hpp"
#include "base/ed25519.hpp"
#include "json/write.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>
#include <system_error>
#include <utility>

namespace leeway::app {
namespace {

tl::unexpected<Error> not_written(const std::string& path) {
    return fail(ErrorCode::kConfig, fmt::format("{} cannot be written: {}", path,
                                                std::generic_category().message(errno)));
}

/// A new file that only its owner can read. A key that is there may have signed something: it is not replaced.
Result<void> write_secret(const std::string& path, const Secret& text) {
    const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0 && errno == EEXIST)
        return fail(ErrorCode::kConfig, fmt::format("{} is there already", path),
                    "name another file, or remove it if nobody needs that key");
    if (file < 0) return not_written(path);
    const std::string& bytes = text.expose();
    const bool written =
        write(file, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()) &&
        fsync(file) == 0;
    const auto failed = not_written(path);  // before `close` may change why
    close(file);
    if (written) return {};
    unlink(path.c_str());
    return failed;
}

int make_key(const PolicyOptions& options) {
    const auto key = Ed25519Key::make();
    if (!key) return report_failure(key.error());
    const auto pem = key->pem();
    if (!pem) return report_failure(pem.error());
    if (const auto written = write_secret(options.output, *pem); !written)
        return report_failure(written.error());
    const std::string shown = key->public_key().text();
    if (!options.json) return print_out(shown + "\n");
    std::string out;
    json::Writer(out)
        .object()
        .key("public_key")
        .string(shown)
        .key("file")
        .string(options.output)
        .close_object();
    return print_out(out + "\n");
}

/// When it was made, and of what.
template <class File>
std::string made_of(const File& file) {
    const auto tell = [](const std::string& outcomes, const std::string& hash, std::int64_t at) {
        return fmt::format("made {} from {} (SHA-256 {})\n", format_date(at), outcomes, hash);
    };
    if constexpr (requires { file.evidence; }) {
        return tell(file.evidence.outcomes, file.evidence.outcomes_sha256,
                    file.evidence.made_unix_s);
    } else {
        return tell(file.outcomes, file.outcomes_sha256, file.made_unix_s);
    }
}

/// Why the policy does not hold; empty: it does.
std::string doubt_of(const PolicyFile& file, const PolicyOptions& options) {
    if (options.trusted.empty() || contains(options.trusted, file.signer())) return {};
    return file.signer().empty() ? "nobody signed it"
                                 : "another signed it than --trusted-key names";
}

std::string as_json(const Result<PolicyFile>& file, const PolicyOptions& options) {
    std::string out;
    json::Writer writer(out);
    const std::string why = file ? doubt_of(*file, options) : file.error().message;
    writer.object().key("file").string(options.file).key("holds").boolean(why.empty());
    writer.key("why").string(why);
    if (file) {
        const bool is_cascade = std::holds_alternative<cascade::CascadeFile>(file->policy);
        writer.key("kind").string(is_cascade ? "cascade" : "router").key("signer");
        if (file->signer().empty()) {
            writer.null();
        } else {
            writer.string(file->signer());
        }
        writer.key("policy").raw(file->head);
    }
    writer.close_object();
    return out + "\n";
}

int show_policy(const PolicyOptions& options) {
    const auto file = read_policy_file(options.file);
    const std::string doubt = file ? doubt_of(*file, options) : std::string();
    const int status = file && doubt.empty() ? 0 : 1;
    if (options.json) {
        const int printed = print_out(as_json(file, options));
        return status != 0 ? status : printed;
    }
    if (!file) return report_failure(file.error());
    std::string out =
        std::visit([](const auto& one) { return policy_text(one) + made_of(one); }, file->policy);
    out += file->signer().empty()
               ? "signed by nobody: the seal tells of accidents, not of who made it\n"
               : fmt::format("signed by {}\n", file->signer());
    out += doubt.empty() ? "it holds\n" : fmt::format("it does not hold: {}\n", doubt);
    const int printed = print_out(out);
    return status != 0 ? status : printed;
}

}  // namespace

int run_policy(const PolicyOptions& options) {
    switch (options.action) {
        case PolicyOptions::Action::kKeygen: return make_key(options);
        case PolicyOptions::Action::kShow: return show_policy(options);
    }
    return 1;
}

}  // namespace leeway::app
