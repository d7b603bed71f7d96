#include "store/vectors/graph.hpp"

#include "base/hash.hpp"
#include "store/vectors/encoding.hpp"
#include "store/vectors/kernel.hpp"

#include <hnswlib/hnswlib.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <mutex>
#include <unordered_map>
#include <utility>

namespace leeway::store::vectors {
namespace {

// Levels are drawn by a generator that begins here: equal rows in equal order give equal graphs.
constexpr std::uint32_t kSeed = 20160330;
constexpr std::uint32_t kNone = ~std::uint32_t{0};

struct Measure {
    std::size_t length = 0;
    std::int32_t (*dot)(const std::int8_t*, const std::int8_t*, std::size_t,
                        std::int32_t) noexcept = nullptr;
};

float distance(const void* a, const void* b, const void* with) {
    const auto& measure = *static_cast<const Measure*>(with);
    const auto* const left = static_cast<const std::uint8_t*>(a);
    const auto* const right = static_cast<const std::uint8_t*>(b);
    const std::size_t n = measure.length;
    const std::int32_t dot =
        measure.dot(code_elements(left), code_elements(right), n, code_sum(right, n));
    return 1.0F - static_cast<float>(dot) * code_scale(left, n) * code_scale(right, n);
}

/// Rows of the elements: most have one, which needs no list.
struct Members {
    std::vector<std::uint32_t> first;  // by element; kNone: it has none
    std::unordered_map<std::uint32_t, std::vector<std::uint32_t>> more;

    template <class Visit>
    bool any(std::uint32_t element, const Visit& visit) const {
        if (first[element] == kNone) return false;
        if (visit(first[element])) return true;
        const auto others = more.find(element);
        return others != more.end() &&
               std::any_of(others->second.begin(), others->second.end(), visit);
    }
    void add(std::uint32_t element, std::uint32_t row) {
        if (first[element] == kNone) {
            first[element] = row;
        } else {
            more[element].push_back(row);
        }
    }
};

class Accepts final : public hnswlib::BaseFilterFunctor {
public:
    Accepts(const Members& members, const std::function<bool(std::uint32_t)>& rows)
        : members_(members), rows_(rows) {}
    bool operator()(hnswlib::labeltype element) override {
        return members_.any(static_cast<std::uint32_t>(element),
                            [this](std::uint32_t row) { return !rows_ || rows_(row); });
    }

private:
    const Members& members_;
    const std::function<bool(std::uint32_t)>& rows_;
};

}  // namespace

/// hnswlib's index with its parts laid out by us, which its own constructors do not allow: without the locks and the
/// table that only its updates use, and with one unused link behind each list above the base, since it reads one link
/// ahead.
class Graph::Impl : public hnswlib::HierarchicalNSW<float> {
public:
    Impl(const GraphShape& shape, std::size_t capacity)
        : HierarchicalNSW(nullptr), shape(shape), measure_{shape.length, kernel().dot_i8} {
        max_elements_ = capacity;
        link_list_locks_ = std::vector<std::mutex>(capacity);
        element_levels_.resize(capacity);
        data_size_ = code_bytes(shape.length);
        fstdistfunc_ = &distance;
        dist_func_param_ = &measure_;
        M_ = shape.links;
        maxM_ = M_;
        maxM0_ = 2 * M_;
        ef_construction_ = std::max<std::size_t>(shape.build_width, M_);
        ef_ = 1;
        level_generator_.seed(kSeed);
        // Rounded up: it stores each element's label as an aligned word behind the code.
        constexpr std::size_t kWord = sizeof(hnswlib::labeltype);
        size_links_level0_ = maxM0_ * sizeof(hnswlib::tableint) + sizeof(hnswlib::linklistsizeint);
        size_links_level0_ = (size_links_level0_ + kWord - 1) / kWord * kWord;
        size_data_per_element_ = size_links_level0_ + data_size_ + sizeof(hnswlib::labeltype);
        offsetData_ = size_links_level0_;
        label_offset_ = size_links_level0_ + data_size_;
        size_links_per_element_ =
            (maxM_ + 1) * sizeof(hnswlib::tableint) + sizeof(hnswlib::linklistsizeint);
        mult_ = 1 / std::log(static_cast<double>(M_));
        revSize_ = 1 / mult_;
        maxlevel_ = -1;
        enterpoint_node_ = kNone;
        // One line more: it reads ahead.
        constexpr std::size_t kAhead = 64;
        data_level0_memory_ =
            static_cast<char*>(std::malloc(capacity * size_data_per_element_ + kAhead));
        linkLists_ = static_cast<char**>(std::calloc(capacity + 1, sizeof(char*)));
        if (data_level0_memory_ == nullptr || linkLists_ == nullptr) throw std::bad_alloc();
        visited_list_pool_ = std::make_unique<hnswlib::VisitedListPool>(
            1, static_cast<int>(std::max<std::size_t>(capacity, 1)));
    }

    [[nodiscard]] std::size_t upper_bytes(std::size_t element) const noexcept {
        return static_cast<std::size_t>(element_levels_[element]) * size_links_per_element_;
    }
    /// The links of one element above the base.
    void set_upper(std::size_t element, int level, const char* links) {
        element_levels_[element] = level;
        if (level == 0) return;
        linkLists_[element] = static_cast<char*>(std::malloc(upper_bytes(element)));
        if (linkLists_[element] == nullptr) {
            element_levels_[element] = 0;
            throw std::bad_alloc();
        }
        std::memcpy(linkLists_[element], links, upper_bytes(element));
    }

    [[nodiscard]] const std::uint8_t* code(std::size_t element) const noexcept {
        return reinterpret_cast<const std::uint8_t*>(
            getDataByInternalId(static_cast<hnswlib::tableint>(element)));
    }
    [[nodiscard]] std::uint64_t hash_of(const std::uint8_t* code) const {
        return checksum64({reinterpret_cast<const char*>(code), data_size_});
    }
    /// The element of this code, or kNone.
    [[nodiscard]] std::uint32_t find(const std::uint8_t* wanted) const {
        const auto known = by_hash.find(hash_of(wanted));
        if (known == by_hash.end() || std::memcmp(code(known->second), wanted, data_size_) != 0) {
            return kNone;
        }
        return known->second;
    }
    void learn_hashes() {
        by_hash.reserve(max_elements_);
        for (std::size_t i = 0; i < cur_element_count; ++i) {
            by_hash.try_emplace(hash_of(code(i)), static_cast<std::uint32_t>(i));
        }
    }

    const GraphShape shape;
    Members members;
    std::size_t rows = 0;
    std::size_t nowhere = 0;
    std::size_t upper_total = 0;
    std::unordered_map<std::uint64_t, std::uint32_t> by_hash;  // of codes; while it grows

private:
    Measure measure_;
};

Graph::Graph(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Graph::~Graph() = default;

std::shared_ptr<Graph> Graph::make(const GraphShape& shape, std::size_t capacity) {
    try {
        return std::shared_ptr<Graph>(new Graph(std::make_unique<Impl>(shape, capacity)));
    } catch (const std::exception&) {
        return nullptr;
    }
}

std::shared_ptr<Graph> Graph::copy(std::size_t more) const {
    const std::size_t elements = size();
    auto out = make(impl_->shape, elements + more);
    if (!out) return nullptr;
    Impl& to = *out->impl_;
    try {
        std::memcpy(to.data_level0_memory_, impl_->data_level0_memory_,
                    elements * impl_->size_data_per_element_);
        for (std::size_t i = 0; i < elements; ++i) {
            to.set_upper(i, impl_->element_levels_[i], impl_->linkLists_[i]);
            to.cur_element_count = i + 1;  // what is to be freed if this throws
        }
    } catch (const std::exception&) {
        return nullptr;
    }
    to.maxlevel_ = impl_->maxlevel_;
    to.enterpoint_node_ = impl_->enterpoint_node_;
    to.level_generator_ = impl_->level_generator_;
    to.members = impl_->members;
    to.rows = impl_->rows;
    to.nowhere = impl_->nowhere;
    to.upper_total = impl_->upper_total;
    to.learn_hashes();
    return out;
}

bool Graph::add(std::uint32_t row, const std::uint8_t* code) {
    try {
        if (const std::uint32_t known = impl_->find(code); known != kNone) {
            if (impl_->members.first[known] == kNone) --impl_->nowhere;
            impl_->members.add(known, row);
        } else {
            // −1: on whatever level comes. Its number is new, so that hnswlib's table of labels is of no use.
            const auto element = impl_->addPoint(code, size(), -1);
            impl_->upper_total += impl_->upper_bytes(element);
            impl_->members.first.push_back(row);
            impl_->by_hash.try_emplace(impl_->hash_of(code), element);
        }
        ++impl_->rows;
        return true;
    } catch (const std::exception&) {
        return false;
    }
}

void Graph::finish() {
    std::vector<std::mutex>().swap(impl_->link_list_locks_);
    std::unordered_map<hnswlib::labeltype, hnswlib::tableint>().swap(impl_->label_lookup_);
    std::unordered_map<std::uint64_t, std::uint32_t>().swap(impl_->by_hash);
}

std::vector<std::uint32_t> Graph::search(const std::uint8_t* code, std::size_t count,
                                         std::size_t width,
                                         const std::function<bool(std::uint32_t)>& accepts) const {
    std::vector<std::uint32_t> out;
    try {
        Accepts filter(impl_->members, accepts);
        const bool all = !accepts && impl_->nowhere == 0;
        auto found = impl_->searchKnn(code, std::max(count, width), all ? nullptr : &filter);
        while (found.size() > count) found.pop();
        std::vector<std::uint32_t> elements(found.size());
        for (std::size_t i = found.size(); i-- > 0; found.pop()) {
            elements[i] = static_cast<std::uint32_t>(found.top().second);
        }
        for (const std::uint32_t element : elements) {
            (void)impl_->members.any(element, [&](std::uint32_t row) {
                if (!accepts || accepts(row)) out.push_back(row);
                return false;
            });
        }
    } catch (const std::exception&) {
        out.clear();  // no memory: as if nothing had been found, and the search is done another way
    }
    return out;
}

std::size_t Graph::size() const noexcept { return impl_->cur_element_count; }

std::size_t Graph::rows() const noexcept { return impl_->rows; }

std::size_t Graph::nowhere() const noexcept { return impl_->nowhere; }

std::size_t Graph::bytes() const noexcept {
    constexpr std::size_t kOthers =
        sizeof(char*) + sizeof(int) + sizeof(hnswlib::vl_type) + sizeof(std::uint32_t);
    constexpr std::size_t kShared = 48;  // of a row whose code another one has: about
    return impl_->max_elements_ * (impl_->size_data_per_element_ + kOthers) + impl_->upper_total +
           (impl_->rows - std::min(impl_->rows, size())) * kShared;
}

const std::uint8_t* Graph::code(std::size_t element) const noexcept { return impl_->code(element); }

std::vector<Graph::Member> Graph::members() const {
    std::vector<Member> out;
    out.reserve(impl_->rows);
    for (std::uint32_t element = 0; element < size(); ++element) {
        (void)impl_->members.any(element, [&](std::uint32_t row) {
            out.push_back({element, row});
            return false;
        });
    }
    std::sort(out.begin(), out.end(),
              [](const Member& a, const Member& b) { return a.row < b.row; });
    return out;
}

void Graph::set_members(const std::vector<Member>& members) {
    impl_->members.first.assign(size(), kNone);
    impl_->members.more.clear();
    for (const Member& one : members) impl_->members.add(one.element, one.row);
    impl_->rows = members.size();
    const auto& first = impl_->members.first;
    impl_->nowhere = static_cast<std::size_t>(std::count(first.begin(), first.end(), kNone));
}

GraphImage Graph::image() const {
    GraphImage image;
    const std::size_t elements = size();
    image.elements = static_cast<std::uint32_t>(elements);
    image.entry = impl_->enterpoint_node_;
    image.top_level = impl_->maxlevel_;
    image.base.assign(impl_->data_level0_memory_, elements * impl_->size_data_per_element_);
    image.levels.assign(impl_->element_levels_.begin(),
                        impl_->element_levels_.begin() + static_cast<std::ptrdiff_t>(elements));
    image.upper.reserve(impl_->upper_total);
    for (std::size_t i = 0; i < elements; ++i) {
        if (image.levels[i] > 0) image.upper.append(impl_->linkLists_[i], impl_->upper_bytes(i));
    }
    return image;
}

Result<std::shared_ptr<Graph>> Graph::from_image(const GraphShape& shape, const GraphImage& image) {
    const auto wrong = [](const char* what) {
        return fail(ErrorCode::kInternal, std::string("its ") + what);
    };
    auto out = make(shape, image.elements);
    if (!out) return fail(ErrorCode::kUnavailable, "there is no memory for it");
    Impl& to = *out->impl_;
    const std::size_t elements = image.elements;
    if (image.base.size() != elements * to.size_data_per_element_ ||
        image.levels.size() != elements) {
        return wrong("length is wrong");
    }
    constexpr std::int32_t kMostLevels = 64;
    std::size_t upper = 0;
    try {
        std::memcpy(to.data_level0_memory_, image.base.data(), image.base.size());
        for (std::size_t i = 0; i < elements; ++i) {
            const std::int32_t level = image.levels[i];
            if (level < 0 || level > kMostLevels) return wrong("levels are wrong");
            const std::size_t size = static_cast<std::size_t>(level) * to.size_links_per_element_;
            if (size > image.upper.size() - upper) return wrong("links are cut");
            to.set_upper(i, level, image.upper.data() + upper);
            to.cur_element_count = i + 1;
            upper += size;
        }
    } catch (const std::exception&) {
        return fail(ErrorCode::kUnavailable, "there is no memory for it");
    }
    if (upper != image.upper.size()) return wrong("links are too many");
    if (elements == 0 ? image.top_level != -1
                      : image.entry >= elements || image.levels[image.entry] != image.top_level) {
        return wrong("entry is wrong");
    }
    for (std::size_t i = 0; i < elements; ++i) {
        for (int level = 0; level <= image.levels[i]; ++level) {
            auto* const list = to.get_linklist_at_level(static_cast<unsigned>(i), level);
            const std::size_t count = to.getListCount(list);
            if (count > (level == 0 ? to.maxM0_ : to.maxM_)) return wrong("links are too many");
            const bool leads = std::all_of(list + 1, list + 1 + count, [&](unsigned other) {
                return other < elements && image.levels[other] >= level;
            });
            if (!leads) return wrong("links lead nowhere");
        }
        if (to.isMarkedDeleted(static_cast<unsigned>(i))) return wrong("links are wrong");
        to.setExternalLabel(static_cast<unsigned>(i), i);
    }
    to.maxlevel_ = image.top_level;
    to.enterpoint_node_ = image.entry;
    to.level_generator_.seed(kSeed + image.elements);  // goes on differently than it began
    to.upper_total = upper;
    out->set_members({});
    return out;
}

}  // namespace leeway::store::vectors
