#include "app/batch_store.hpp"
#include "app/commands.hpp"
#include "app/terminal.hpp"
#include "base/money.hpp"
#include "json/write.hpp"
#include "ledger/time_text.hpp"

namespace leeway::app {
namespace {

/// What is known of its end.
std::string_view state_of(const StoredBatch& batch) {
    if (!batch.state.empty()) return batch.state;
    return batch.id.empty() ? "asked for" : "not looked at";
}

std::string as_json(const std::vector<StoredBatch>& batches) {
    std::string out;
    json::Writer writer(out);
    writer.object().key("batches").array();
    for (const StoredBatch& batch : batches) {
        writer.object().key("batch").string(batch.id).key("id").string(batch.record.text());
        writer.key("made").string(ledger::iso_time(batch.ts_us));
        writer.key("key").string(batch.key).key("provider").string(batch.provider);
        writer.key("model").string(batch.model).key("endpoint").string(batch.endpoint);
        writer.key("state").string(state_of(batch)).key("settled").boolean(batch.settled);
        writer.key("reserved_usd").string(to_usd_string(PicoUsd(batch.worst_pico_usd)));
        writer.key("reserved_pico_usd").integer(batch.worst_pico_usd);
        writer.key("reserved_tokens").integer(batch.worst_tokens);
        writer.close_object();
    }
    writer.close_array().close_object();
    return out + "\n";
}

std::string as_table(const std::vector<StoredBatch>& batches) {
    std::vector<std::vector<std::string>> rows{
        {"MADE", "BATCH", "STATE", "SETTLED", "KEY", "PROVIDER", "MODEL", "RESERVED"}};
    for (const StoredBatch& batch : batches) {
        rows.push_back(
            {ledger::iso_time(batch.ts_us), batch.id.empty() ? "-" : batch.id,
             std::string(state_of(batch)), batch.settled ? "yes" : "no",
             batch.key.empty() ? "-" : batch.key, batch.provider, batch.model,
             batch.scopes.empty() ? "-" : "$" + to_usd_string(PicoUsd(batch.worst_pico_usd))});
    }
    return table(rows);
}

}  // namespace

int run_batches(const BatchesOptions& options) {
    const auto state = state_folder_of(options.place);
    if (!state) return report_failure(state.error());
    std::vector<StoredBatch> batches;
    if (BatchStore::exists(*state)) {
        const auto store = BatchStore::open_to_read(*state);
        if (!store) return report_failure(store.error());
        auto read = options.all ? (*store)->all() : (*store)->unsettled();
        if (!read) return report_failure(read.error());
        batches = std::move(*read);
    }
    if (options.json) return print_out(as_json(batches));
    if (batches.empty()) {
        return print_out(options.all ? "There are no batches.\n"
                                     : "All batches are settled (--all shows them).\n");
    }
    return print_out(as_table(batches));
}

}  // namespace leeway::app
