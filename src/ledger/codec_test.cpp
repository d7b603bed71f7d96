#include "ledger/codec.hpp"

#include "ledger/testing.hpp"

#include <gtest/gtest.h>

#include <random>

namespace leeway::ledger {
namespace {

using testing::ordinary_record;
using testing::random_record;

void expect_same(const AttemptRow& a, const AttemptRow& b) {
    EXPECT_EQ(a.number, b.number);
    EXPECT_EQ(a.provider, b.provider);
    EXPECT_EQ(a.model, b.model);
    EXPECT_EQ(a.model_reported, b.model_reported);
    EXPECT_EQ(a.http_status, b.http_status);
    EXPECT_EQ(a.end, b.end);
    EXPECT_EQ(a.finish_reason, b.finish_reason);
    EXPECT_EQ(a.usage, b.usage);
    EXPECT_EQ(a.usage_state, b.usage_state);
    EXPECT_EQ(a.usage_quality, b.usage_quality);
    EXPECT_EQ(a.cost, b.cost);
    EXPECT_EQ(a.reported_cost, b.reported_cost);
    EXPECT_EQ(a.computed_cost, b.computed_cost);
    EXPECT_EQ(a.price_id, b.price_id);
    EXPECT_EQ(a.tier, b.tier);
    EXPECT_EQ(a.first_byte_us, b.first_byte_us);
    EXPECT_EQ(a.total_us, b.total_us);
}

void expect_same(const RequestRecord& a, const RequestRecord& b) {
    EXPECT_EQ(a.id, b.id);
    EXPECT_EQ(a.ts_us, b.ts_us);
    EXPECT_EQ(a.key, b.key);
    EXPECT_EQ(a.route, b.route);
    EXPECT_EQ(a.endpoint, b.endpoint);
    EXPECT_EQ(a.model_asked, b.model_asked);
    EXPECT_EQ(a.model, b.model);
    EXPECT_EQ(a.http_status, b.http_status);
    EXPECT_EQ(a.end, b.end);
    EXPECT_EQ(a.source, b.source);
    EXPECT_EQ(a.stream, b.stream);
    EXPECT_EQ(a.usage, b.usage);
    EXPECT_EQ(a.usage_state, b.usage_state);
    EXPECT_EQ(a.usage_quality, b.usage_quality);
    EXPECT_EQ(a.cost, b.cost);
    EXPECT_EQ(a.baseline, b.baseline);
    EXPECT_EQ(a.total_us, b.total_us);
    EXPECT_EQ(a.first_byte_us, b.first_byte_us);
    EXPECT_EQ(a.provider, b.provider);
    EXPECT_EQ(a.user, b.user);
    EXPECT_EQ(a.tags, b.tags);
    EXPECT_EQ(a.session, b.session);
    EXPECT_EQ(a.agent, b.agent);
    EXPECT_EQ(a.arm, b.arm);
    EXPECT_EQ(a.waterfall, b.waterfall);
    EXPECT_EQ(a.notes, b.notes);
    EXPECT_EQ(a.error, b.error);
    ASSERT_EQ(a.attempts.size(), b.attempts.size());
    for (std::size_t i = 0; i < a.attempts.size(); ++i) expect_same(a.attempts[i], b.attempts[i]);
}

TEST(LedgerCodec, DecodesWhatItEncodedIntoAReusedRecord) {
    std::mt19937_64 rng(1);
    std::string buffer;
    RequestRecord decoded;
    for (int i = 0; i < 2000; ++i) {
        const RequestRecord record = random_record(rng);
        const auto done = decode(encode(record, buffer), decoded);
        ASSERT_TRUE(done) << done.error().text();
        expect_same(record, decoded);
    }
}

TEST(LedgerCodec, KeepsExtremeNumbers) {
    RequestRecord record = ordinary_record();
    record.ts_us = INT64_MIN;
    record.total_us = INT64_MAX;
    record.cost = PicoUsd(INT64_MIN);
    record.baseline = PicoUsd(INT64_MAX);
    record.http_status = INT32_MIN;
    record.usage[prices::Bucket::kOutput] = INT64_MAX;
    std::string buffer;
    RequestRecord decoded;
    ASSERT_TRUE(decode(encode(record, buffer), decoded));
    expect_same(record, decoded);
}

// Journals of the program before this one: seven counts, and attempts without tier and price.
TEST(LedgerCodec, ReadsRecordsOfTheFirstVersion) {
    std::string frame("\x01\x03", 2);  // version, a stream with a cost
    for (char c = 0; c < 16; ++c) frame += c;
    frame += std::string("\x00\x00\x01", 3);  // ok, upstream, final
    frame += "\x02";  // ts_us 1
    frame += "\x90\x03";  // status 200
    frame += std::string("\x14\x06\x00\x00\x0e\x00\x02", 7);  // 10, 3, 0, 0, 7, 0, 1
    frame += "\x0a";  // cost 5
    frame += std::string("\x04\x02", 2);  // total_us, first_byte_us
    frame +=
        "\x01k\x01r\x01"
        "e\x01m\x01n" +
        std::string("\x00\x00", 2);  // texts
    frame += "\x01";  // one attempt
    frame += std::string("\x01\x02\x00\x01", 4) + "\x90\x03";
    frame += std::string("\x14\x06\x00\x00\x0e\x00\x02", 7) + "\x0a" + std::string("\x00\x04", 2);
    frame += "\x01p\x01n\x01n\x04stop";
    RequestRecord record;
    record.attempts.resize(1);
    record.attempts[0].price_id = 9;
    record.attempts[0].reported_cost = PicoUsd(1);
    const auto done = decode(frame, record);
    ASSERT_TRUE(done) << done.error().message;
    using prices::Bucket;
    const prices::Usage usage{{Bucket::kInput, 10},
                              {Bucket::kCachedInput, 3},
                              {Bucket::kOutput, 7},
                              {Bucket::kAudioOutput, 1}};
    EXPECT_EQ(record.usage, usage);
    EXPECT_EQ(record.cost, PicoUsd(5));
    ASSERT_EQ(record.attempts.size(), 1u);
    EXPECT_EQ(record.attempts[0].usage, usage);
    EXPECT_EQ(record.attempts[0].price_id, 0u);
    EXPECT_FALSE(record.attempts[0].reported_cost);
    EXPECT_EQ(record.attempts[0].finish_reason, "stop");
    EXPECT_EQ(record.attempts[0].total_us, 2);
}

TEST(LedgerCodec, CutsEndlessTextAtACharacter) {
    RequestRecord record = ordinary_record();
    record.model_asked = std::string(kMaxNameBytes - 1, 'x') + "é" + std::string(1 << 20, 'y');
    record.notes = std::string(1 << 20, 'n');
    record.attempts[0].model_reported = std::string(1 << 20, 'r');
    std::string buffer;
    RequestRecord decoded;
    ASSERT_TRUE(decode(encode(record, buffer), decoded));
    EXPECT_EQ(decoded.model_asked, std::string(kMaxNameBytes - 1, 'x'));
    EXPECT_EQ(decoded.notes.size(), kMaxNotesBytes);
    EXPECT_EQ(decoded.attempts[0].model_reported.size(), kMaxNameBytes);
    EXPECT_LT(buffer.size(), std::size_t{16} << 10);
}

TEST(LedgerCodec, MakesAttemptNumbersRise) {
    RequestRecord record = ordinary_record();
    record.attempts.resize(3, record.attempts[0]);
    record.attempts[1].number = 7;
    std::string buffer;
    RequestRecord decoded;
    ASSERT_TRUE(decode(encode(record, buffer), decoded));
    EXPECT_EQ(decoded.attempts[0].number, 1U);
    EXPECT_EQ(decoded.attempts[1].number, 7U);
    EXPECT_EQ(decoded.attempts[2].number, 8U);
}

TEST(LedgerCodec, RefusesEveryPrefixAndAnythingBehind) {
    std::mt19937_64 rng(2);
    std::string buffer;
    RequestRecord decoded;
    for (int i = 0; i < 20; ++i) {
        const std::string whole(encode(random_record(rng), buffer));
        for (std::size_t size = 0; size < whole.size(); ++size) {
            // An exact copy, so that a sanitizer sees a read beyond it.
            const std::string prefix = whole.substr(0, size);
            EXPECT_FALSE(decode(prefix, decoded)) << size;
        }
        EXPECT_FALSE(decode(whole + '\0', decoded));
    }
}

TEST(LedgerCodec, RefusesAnotherVersion) {
    std::string buffer;
    std::string bytes(encode(ordinary_record(), buffer));
    bytes[0] = 99;
    RequestRecord decoded;
    const auto done = decode(bytes, decoded);
    ASSERT_FALSE(done);
    EXPECT_NE(done.error().message.find("version"), std::string::npos);
}

TEST(LedgerCodec, SurvivesMutatedBytes) {
    std::mt19937_64 rng(3);
    std::string buffer;
    RequestRecord decoded;
    for (int i = 0; i < 20'000; ++i) {
        std::string bytes(encode(random_record(rng), buffer));
        for (std::uint64_t n = 1 + rng() % 4; n > 0; --n) {
            bytes[rng() % bytes.size()] = static_cast<char>(rng());
        }
        if (rng() % 3 == 0) bytes.resize(rng() % (bytes.size() + 1));
        (void)decode(bytes, decoded);  // any answer will do, as long as there is one
    }
}

}  // namespace
}  // namespace leeway::ledger
