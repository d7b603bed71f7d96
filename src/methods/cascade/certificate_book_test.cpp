#include "methods/cascade/certificate_book.hpp"

#include <gtest/gtest.h>

#include <string>

namespace leeway::cascade {
namespace {

CascadeFile certified(std::string seal = "a") {
    CascadeFile out;
    out.seal = std::move(seal);
    out.certificate.certified = true;
    out.certificate.cut = {1, 0};
    out.certificate.rows = 600;
    out.certificate.accepted = 300;
    out.certificate.limit = 0.02;
    for (int i = 0; i < 600; ++i) out.scores.push_back({static_cast<double>(i) / 300, 0});
    return out;
}

CertificateCare audited(double share) { return {.audit = share}; }

/// Answers that are surer than the cut, all harmful.
void harm(CertificateInUse& certificate) {
    for (int i = 0; i < 1000 && certificate.obstacle().empty(); ++i) {
        const Score score{static_cast<double>(i * 37 % 600) / 300, 0};
        const OnlineDecision decision = certificate.decide(score, 0);
        certificate.record(score, decision, true);
    }
}

TEST(CertificateBook, KeepsACertificateOverReloads) {
    CertificateBook book;
    const auto first = book.use("support", certified(), audited(0.5));
    EXPECT_TRUE(first->decide({1.5, 0}, 0.9).weak);
    EXPECT_FALSE(first->decide({0.5, 0}, 0.9).weak);
    EXPECT_EQ(book.use("support", certified(), audited(0.5)), first);
    EXPECT_NE(book.use("other", certified(), audited(0.5)), first);
    EXPECT_NE(book.use("support", certified(), audited(0.25)), first);
    EXPECT_NE(book.use("support", certified("b"), audited(0.25)), first);
    EXPECT_EQ(first->state().decided, 2U);
}

TEST(CertificateBook, ADemotedOneStaysSoUntilThereIsAnother) {
    CertificateBook book;
    const auto first = book.use("support", certified(), audited(0.5));
    harm(*first);
    EXPECT_EQ(first->obstacle(), "harm");
    EXPECT_FALSE(first->decide({1.9, 0}, 0).weak);
    const auto told = book.take_changes();
    ASSERT_EQ(told.size(), 1U);
    EXPECT_EQ(told[0].route, "support");
    EXPECT_TRUE(book.take_changes().empty()) << "it was told";
    EXPECT_EQ(book.use("support", certified(), audited(0.25))->obstacle(), "harm");
    CertificateBook later;
    ASSERT_TRUE(later.restore(book.text()).has_value());
    EXPECT_EQ(later.use("support", certified(), audited(0.5))->obstacle(), "harm");
    EXPECT_EQ(later.use("other", certified(), audited(0.5))->obstacle(), "");
    EXPECT_EQ(later.use("support", certified("b"), audited(0.5))->obstacle(), "");
    EXPECT_EQ(later.text().find("support"), std::string::npos);
}

TEST(CertificateBook, OtherTrafficIsDrift) {
    CertificateBook book;
    const auto certificate = book.use("support", certified(), audited(0.01));
    for (int i = 0; i < 200 && certificate->obstacle().empty(); ++i)
        (void)certificate->decide({0.1, 0}, 0.9);
    EXPECT_EQ(certificate->obstacle(), "drift");
}

/// A route that is to certify itself.
CascadeFile nothing(std::string seal = "own") {
    CascadeFile out;
    out.seal = std::move(seal);
    out.promise = {.max_harm = 0.1, .confidence = 0.9};
    return out;
}
constexpr CertificateCare kLearns{.audit = 0.5, .learn = 0.5, .least_accepted = 0.1};

/// So many requests whose weak answers are harmful where they are less sure than 0.8.
void teach(CertificateInUse& certificate, int requests) {
    for (int i = 0; i < requests && !certificate.obstacle().empty(); ++i) {
        const double sure = static_cast<double>(i * 37 % 600) / 300;
        certificate.learn({sure, 0}, sure < 0.8);
    }
}

TEST(CertificateBook, CertifiesItselfWhenEnoughWasLearned) {
    CertificateBook book;
    const auto own = book.use("support", nothing(), kLearns);
    EXPECT_EQ(own->obstacle(), "no_evidence");
    EXPECT_TRUE(own->learns(0.4));
    EXPECT_FALSE(own->learns(0.6));
    EXPECT_FALSE(own->decide({1.9, 0}, 0).weak);
    teach(*own, 150);
    EXPECT_EQ(own->obstacle(), "no_evidence") << "that was too little";
    EXPECT_TRUE(book.take_changes().empty());
    teach(*own, 2000);
    ASSERT_EQ(own->obstacle(), "");
    EXPECT_FALSE(own->learns(0)) << "nothing is to be learned any more";
    EXPECT_TRUE(own->decide({1.9, 0}, 0.9).weak);
    EXPECT_FALSE(own->decide({0.1, 0}, 0.9).weak);
    const auto changes = book.take_changes();
    ASSERT_EQ(changes.size(), 1U);
    EXPECT_EQ(changes[0].why, "");
    // Of the least sure 40 % all are harmful, and 10 % of the requests may be.
    EXPECT_GE(changes[0].certified->cut.confidence, 0.6);
    EXPECT_TRUE(book.take_changes().empty());
}

TEST(CertificateBook, WhatItCertifiedHoldsOverRestartsForTheSamePromise) {
    CertificateBook book;
    const auto own = book.use("support", nothing(), kLearns);
    teach(*own, 5000);
    const auto changes = book.take_changes();
    ASSERT_EQ(changes.size(), 1U);
    CertificateBook later;
    ASSERT_TRUE(later.restore(book.text()).has_value());
    const auto again = later.use("support", nothing(), kLearns);
    EXPECT_EQ(again->obstacle(), "");
    EXPECT_EQ(again->by_itself()->cut, changes[0].certified->cut);
    EXPECT_TRUE(later.take_changes().empty()) << "that is no news";
    EXPECT_EQ(later.use("support", nothing("other"), kLearns)->obstacle(), "no_evidence");
    std::string broken = book.text();
    broken.replace(broken.find("\"scores\":[["), 11, "\"scores\":[7");
    EXPECT_FALSE(CertificateBook().restore(broken).has_value());
}

TEST(CertificateBook, ADemotedOneLearnsAnewWhereItMay) {
    CertificateBook book;
    const auto policy = book.use("support", certified(), kLearns);
    harm(*policy);
    EXPECT_EQ(policy->obstacle(), "harm");
    EXPECT_EQ(book.take_changes().at(0).certified, std::nullopt);
    for (int i = 0; i < 5000 && !policy->obstacle().empty(); ++i)
        policy->learn({static_cast<double>(i * 37 % 600) / 300, 0}, false);
    EXPECT_EQ(policy->obstacle(), "");
    EXPECT_TRUE(book.take_changes().at(0).certified.has_value());
    harm(*policy);
    EXPECT_EQ(policy->obstacle(), "harm");
    EXPECT_EQ(book.take_changes().at(0).certified, std::nullopt);
    EXPECT_EQ(book.text().find("scores"), std::string::npos);
}

TEST(CertificateBook, ACutThatTakesTooFewIsNotWorthIt) {
    CertificateBook book;
    CertificateCare care = kLearns;
    care.least_accepted = 0.8;  // more than can be taken
    const auto own = book.use("support", nothing(), care);
    teach(*own, 5000);
    EXPECT_EQ(own->obstacle(), "no_evidence");
}

TEST(CertificateBook, RefusesWhatIsNoText) {
    for (const char* text : {"", "{", "[]", "{}", R"({"demoted":1})"}) {
        CertificateBook book;
        EXPECT_FALSE(book.restore(text).has_value()) << text;
    }
}

TEST(CascadeScores, AreKeptInTheFile) {
    CascadeFile file = certified("");
    file.weak = "weak";
    file.strong = "strong";
    const std::string text = write_cascade_file(file);
    const auto read = read_cascade_file(text);
    ASSERT_TRUE(read.has_value()) << read.error().text();
    EXPECT_EQ(read->scores, file.scores);
    EXPECT_EQ(read->seal.size(), 64U);
    file.scores.clear();
    EXPECT_TRUE(read_cascade_file(write_cascade_file(file))->scores.empty());
}

}  // namespace
}  // namespace leeway::cascade
