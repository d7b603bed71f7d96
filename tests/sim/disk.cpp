#include "sim/disk.hpp"

#include "sim/world.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace leeway::sim {
namespace {

Disk* the_disk = nullptr;

struct Handle {
    sqlite3_file base;
    std::shared_ptr<Disk::File>* file;
    std::string* name;
    int level;
    bool delete_on_close;
};

Handle* of(sqlite3_file* file) { return reinterpret_cast<Handle*>(file); }
Disk::File& file_of(sqlite3_file* file) { return **of(file)->file; }

int close_file(sqlite3_file* file) {
    Handle* handle = of(file);
    if (handle->delete_on_close && the_disk != nullptr && !the_disk->frozen)
        the_disk->files.erase(*handle->name);
    delete std::exchange(handle->file, nullptr);
    delete std::exchange(handle->name, nullptr);
    return SQLITE_OK;
}

int read_file(sqlite3_file* file, void* into, int size, sqlite3_int64 at) {
    if (World::get().random.below(20) == 0 && World::get().strikes(Fault::disk_read_error))
        return SQLITE_IOERR_READ;
    const std::string& bytes = file_of(file).bytes;
    const auto wanted = static_cast<std::size_t>(size);
    const auto begin = std::min(bytes.size(), static_cast<std::size_t>(at));
    const std::size_t there = std::min(wanted, bytes.size() - begin);
    std::memcpy(into, bytes.data() + begin, there);
    if (there == wanted) return SQLITE_OK;
    std::memset(static_cast<char*>(into) + there, 0, wanted - there);
    return SQLITE_IOERR_SHORT_READ;
}

int write_file(sqlite3_file* file, const void* from, int size, sqlite3_int64 at) {
    World& world = World::get();
    if (world.random.below(20) == 0 && world.strikes(Fault::disk_full)) return SQLITE_FULL;
    if (world.random.below(20) == 0 && world.strikes(Fault::disk_write_error)) {
        return SQLITE_IOERR_WRITE;
    }
    std::string& bytes = file_of(file).bytes;
    const auto end = static_cast<std::size_t>(at) + static_cast<std::size_t>(size);
    if (bytes.size() < end) bytes.resize(end);
    std::memcpy(bytes.data() + at, from, static_cast<std::size_t>(size));
    return SQLITE_OK;
}

int truncate_file(sqlite3_file* file, sqlite3_int64 size) {
    file_of(file).bytes.resize(static_cast<std::size_t>(size));
    return SQLITE_OK;
}

int sync_file(sqlite3_file* file, int) {
    if (World::get().strikes(Fault::disk_sync_error)) return SQLITE_IOERR_FSYNC;
    file_of(file).synced = file_of(file).bytes;
    return SQLITE_OK;
}

int file_size(sqlite3_file* file, sqlite3_int64* out) {
    *out = static_cast<sqlite3_int64>(file_of(file).bytes.size());
    return SQLITE_OK;
}

// Whoever closes a connection finds out by its locks whether it was the last.
int lock(sqlite3_file* base, int level) {
    Handle* handle = of(base);
    Disk::File& file = file_of(base);
    if (level <= handle->level) return SQLITE_OK;
    if (level > SQLITE_LOCK_SHARED) {
        if (file.writer != nullptr && file.writer != handle) return SQLITE_BUSY;
        if (level == SQLITE_LOCK_EXCLUSIVE && file.readers > 1) return SQLITE_BUSY;
        if (World::get().strikes(Fault::disk_busy)) return SQLITE_BUSY;
        file.writer = handle;
    } else {
        ++file.readers;
    }
    handle->level = level;
    return SQLITE_OK;
}
int unlock(sqlite3_file* base, int level) {
    Handle* handle = of(base);
    Disk::File& file = file_of(base);
    if (level >= handle->level) return SQLITE_OK;
    if (file.writer == handle) file.writer = nullptr;
    if (level == SQLITE_LOCK_NONE) --file.readers;
    handle->level = level;
    return SQLITE_OK;
}
int check_lock(sqlite3_file*, int* out) {
    *out = 0;
    return SQLITE_OK;
}
int control(sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; }
int sector_size(sqlite3_file*) { return 4096; }
int characteristics(sqlite3_file*) { return SQLITE_IOCAP_POWERSAFE_OVERWRITE; }

int shared_map(sqlite3_file* file, int region, int size, int extend, void volatile** out) {
    auto& pages = file_of(file).shared;
    const auto number = static_cast<std::size_t>(region);
    if (number >= pages.size() && extend == 0) {
        *out = nullptr;
        return SQLITE_OK;
    }
    // They must not move: SQLite keeps the addresses.
    pages.reserve(64);
    while (pages.size() <= number) pages.emplace_back(static_cast<std::size_t>(size), '\0');
    *out = pages[number].data();
    return SQLITE_OK;
}
int shared_lock(sqlite3_file*, int, int, int flags) {
    const bool exclusive = (flags & SQLITE_SHM_EXCLUSIVE) != 0 && (flags & SQLITE_SHM_LOCK) != 0;
    if (exclusive && World::get().strikes(Fault::disk_busy)) return SQLITE_BUSY;
    return SQLITE_OK;
}
void shared_barrier(sqlite3_file*) {}
int shared_unmap(sqlite3_file* file, int remove) {
    if (remove != 0) file_of(file).shared.clear();
    return SQLITE_OK;
}

const sqlite3_io_methods kMethods = {2,
                                     close_file,
                                     read_file,
                                     write_file,
                                     truncate_file,
                                     sync_file,
                                     file_size,
                                     lock,
                                     unlock,
                                     check_lock,
                                     control,
                                     sector_size,
                                     characteristics,
                                     shared_map,
                                     shared_lock,
                                     shared_barrier,
                                     shared_unmap,
                                     nullptr,
                                     nullptr};

int open_file(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out_flags) {
    static int unnamed = 0;
    const std::string path = name == nullptr ? "temporary" + std::to_string(++unnamed) : name;
    Handle* handle = of(file);
    handle->base.pMethods = nullptr;
    auto& files = the_disk->files;
    auto found = files.find(path);
    if (found == files.end()) {
        if ((flags & SQLITE_OPEN_CREATE) == 0) return SQLITE_CANTOPEN;
        found = files.emplace(path, std::make_shared<Disk::File>()).first;
    }
    handle->file = new std::shared_ptr<Disk::File>(found->second);
    handle->name = new std::string(path);
    handle->level = SQLITE_LOCK_NONE;
    handle->delete_on_close = (flags & SQLITE_OPEN_DELETEONCLOSE) != 0;
    handle->base.pMethods = &kMethods;
    if (out_flags != nullptr) *out_flags = flags;
    return SQLITE_OK;
}

int delete_file(sqlite3_vfs*, const char* name, int) {
    if (!the_disk->frozen) the_disk->files.erase(name);
    return SQLITE_OK;
}
int access_file(sqlite3_vfs*, const char* name, int, int* out) {
    *out = the_disk->files.contains(name) ? 1 : 0;
    return SQLITE_OK;
}
int full_path(sqlite3_vfs*, const char* name, int size, char* out) {
    sqlite3_snprintf(size, out, "%s", name);
    return SQLITE_OK;
}
int random_bytes(sqlite3_vfs*, int size, char* out) {
    for (int i = 0; i < size; ++i) out[i] = static_cast<char>(World::get().random.next());
    return size;
}
int sleep_us(sqlite3_vfs*, int us) { return us; }
int time_now(sqlite3_vfs*, sqlite3_int64* out) {
    *out = World::get().unix_us() / 1000 + 210'866'760'000'000;  // Julian day, in ms
    return SQLITE_OK;
}
int last_error(sqlite3_vfs*, int, char*) { return 0; }

sqlite3_vfs make_vfs() {
    sqlite3_vfs vfs{};
    vfs.iVersion = 2;
    vfs.szOsFile = sizeof(Handle);
    vfs.mxPathname = 512;
    vfs.zName = "simulated";
    vfs.xOpen = open_file;
    vfs.xDelete = delete_file;
    vfs.xAccess = access_file;
    vfs.xFullPathname = full_path;
    vfs.xRandomness = random_bytes;
    vfs.xSleep = sleep_us;
    vfs.xGetLastError = last_error;
    vfs.xCurrentTimeInt64 = time_now;
    return vfs;
}

}  // namespace

Disk::Disk() {
    static sqlite3_vfs vfs = make_vfs();
    sqlite3_vfs_register(&vfs, 1);
    the_disk = this;
}

Disk::~Disk() { the_disk = nullptr; }

Disk& Disk::get() {
    if (the_disk == nullptr) std::abort();
    return *the_disk;
}

// The dead process's connections still point to the old files; nobody will ever use them.
void Disk::process_died() {
    for (auto& [name, file] : files) {
        auto copy = std::make_shared<File>(*file);
        copy->shared.clear();
        copy->readers = 0;
        copy->writer = nullptr;
        file = std::move(copy);
    }
}

void Disk::power_cut() {
    process_died();
    Random& random = World::get().random;
    for (auto& [name, file] : files) {
        if (file->bytes == file->synced || random.chance(0.3)) continue;
        // Sectors reach the disk in any order.
        std::string left = file->synced;
        if (random.chance(0.5)) left.resize(std::max(left.size(), file->bytes.size()));
        for (std::size_t at = 0; at < std::min(left.size(), file->bytes.size()); at += 4096) {
            if (random.chance(0.5)) continue;
            const std::size_t size =
                std::min<std::size_t>(4096, std::min(left.size(), file->bytes.size()) - at);
            std::memcpy(left.data() + at, file->bytes.data() + at, size);
        }
        file->bytes = file->synced = left;
    }
    for (auto& [name, file] : files) file->synced = file->bytes;
}

}  // namespace leeway::sim
