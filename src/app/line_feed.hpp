#pragma once

#include <string>
#include <string_view>

namespace leeway::app {

/// Cuts a text that comes in pieces into its lines. Blank ones are left out.
class LineFeed {
public:
    /// `take(std::string_view line)` for each line that is whole now.
    template <class Take>
    void feed(std::string_view bytes, Take&& take) {
        while (!bytes.empty()) {
            const std::size_t end = bytes.find('\n');
            if (end == std::string_view::npos) {
                rest_.append(bytes);
                return;
            }
            if (rest_.empty()) {
                give(bytes.substr(0, end), take);
            } else {
                rest_.append(bytes.substr(0, end));
                give(rest_, take);
                rest_.clear();
            }
            bytes.remove_prefix(end + 1);
        }
    }
    /// The text is over.
    template <class Take>
    void finish(Take&& take) {
        give(rest_, take);
        rest_.clear();
    }

private:
    template <class Take>
    static void give(std::string_view line, Take& take) {
        if (line.find_first_not_of(" \t\r") != std::string_view::npos) take(line);
    }
    std::string rest_;  // of a line whose end has not come yet
};

}  // namespace leeway::app
