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

/// Answers that are surer than the cut, all harmful.
void harm(CertificateInUse& certificate) {
    for (int i = 0; i < 1000 && certificate.demoted().empty(); ++i) {
        const Score score{static_cast<double>(i * 37 % 600) / 300, 0};
        const OnlineDecision decision = certificate.decide(score, 0);
        certificate.record(score, decision, true);
    }
}

TEST(CertificateBook, KeepsACertificateOverReloads) {
    CertificateBook book;
    const auto first = book.use("support", certified(), 0.5);
    EXPECT_TRUE(first->decide({1.5, 0}, 0.9).weak);
    EXPECT_FALSE(first->decide({0.5, 0}, 0.9).weak);
    EXPECT_EQ(book.use("support", certified(), 0.5), first);
    EXPECT_NE(book.use("other", certified(), 0.5), first);
    EXPECT_NE(book.use("support", certified(), 0.25), first);
    EXPECT_NE(book.use("support", certified("b"), 0.25), first);
    EXPECT_EQ(first->state().decided, 2U);
}

TEST(CertificateBook, ADemotedOneStaysSoUntilThereIsAnother) {
    CertificateBook book;
    const auto first = book.use("support", certified(), 0.5);
    harm(*first);
    EXPECT_EQ(first->demoted(), "harm");
    EXPECT_FALSE(first->decide({1.9, 0}, 0).weak);
    const auto told = book.take_demoted();
    ASSERT_EQ(told.size(), 1U);
    EXPECT_EQ(told[0].first, "support");
    EXPECT_TRUE(book.take_demoted().empty()) << "it was told";
    EXPECT_EQ(book.use("support", certified(), 0.25)->demoted(), "harm");
    CertificateBook later;
    ASSERT_TRUE(later.restore(book.text()).has_value());
    EXPECT_EQ(later.use("support", certified(), 0.5)->demoted(), "harm");
    EXPECT_EQ(later.use("other", certified(), 0.5)->demoted(), "");
    EXPECT_EQ(later.use("support", certified("b"), 0.5)->demoted(), "");
    EXPECT_EQ(later.text().find("support"), std::string::npos);
}

TEST(CertificateBook, OtherTrafficIsDrift) {
    CertificateBook book;
    const auto certificate = book.use("support", certified(), 0.01);
    for (int i = 0; i < 200 && certificate->demoted().empty(); ++i)
        (void)certificate->decide({0.1, 0}, 0.9);
    EXPECT_EQ(certificate->demoted(), "drift");
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
