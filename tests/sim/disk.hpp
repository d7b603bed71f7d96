#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace leeway::sim {

/// The disk under SQLite, in memory: an own VFS, the default of this process. What was written and not synced is
/// lost by a power cut, or a part of it. One for each world.
class Disk {
public:
    struct File {
        std::string bytes;
        std::string synced;  ///< what a power cut surely leaves
        std::vector<std::string> shared;  ///< the pages of the WAL's index: memory of the process
        int readers =
            0;  ///< connections with a lock, and whether one of them has more than a shared one
        const void* writer = nullptr;
    };

    Disk();
    ~Disk();
    Disk(const Disk&) = delete;
    Disk& operator=(const Disk&) = delete;
    static Disk& get();

    /// What the process shared is gone; what it wrote is there.
    void process_died();
    void power_cut();

    std::map<std::string, std::shared_ptr<File>> files;
    bool frozen =
        false;  ///< what a dead process's objects do while they are destroyed does not count
};

}  // namespace leeway::sim
