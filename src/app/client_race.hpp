#pragma once

#include "app/client_leg.hpp"
#include "models/loop_wait.hpp"

#include <array>
#include <memory>
#include <optional>

namespace leeway::app {

/// Two attempts at a time. Lives in the frame of who asks them, which ends when both have.
struct ClientRequest::Race {
    using End = models::LoopWait<bool>;
    struct Side {
        std::optional<net::Deadline> deadline;  ///< of this attempt alone
        bool begun = false;
        bool ended = false;
        [[nodiscard]] bool running() const noexcept { return begun && !ended; }
    };
    std::array<Side, 2> sides;
    std::shared_ptr<End> waiting;  ///< null: nobody waits for an end
    std::unique_ptr<Leg> second;
    AttemptState aside;  ///< of the second, while the first is the one under way
    Pass pass;  ///< of the second
    TimePoint second_start{};
};

}  // namespace leeway::app
