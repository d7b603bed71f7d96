#include "providers/sigv4.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace leeway::providers {
namespace {

/// AWS's Signature Version 4 test suite (aws4_testsuite): its credentials, time, and the signatures of its .authz files.
const AwsCredentials kCredentials{"AKIDEXAMPLE", Secret("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
                                  Secret(), "us-east-1"};
constexpr std::int64_t kTime = 1'440'938'160;  // 2015-08-30 12:36:00

struct Case {
    const char* name;
    const char* method;
    const char* path;
    const char* query;
    std::vector<net::Field> more;
    const char* body;
    const char* signed_headers;
    const char* signature;
};

TEST(SigV4, SignsAsAwsTestSuite) {
    const std::vector<Case> cases{
        {"get-vanilla",
         "GET",
         "/",
         "",
         {},
         "",
         "host;x-amz-date",
         "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
        {"get-vanilla-query-order-key-case",
         "GET",
         "/",
         "Param2=value2&Param1=value1",
         {},
         "",
         "host;x-amz-date",
         "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
        {"get-utf8",
         "GET",
         "/\u1234",
         "",
         {},
         "",
         "host;x-amz-date",
         "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
        {"post-vanilla",
         "POST",
         "/",
         "",
         {},
         "",
         "host;x-amz-date",
         "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
        {"get-header-value-trim",
         "GET",
         "/",
         "",
         {{"my-header1", " value1"}, {"my-header2", " \"a   b   c\""}},
         "",
         "host;my-header1;my-header2;x-amz-date",
         "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
        {"post-x-www-form-urlencoded",
         "POST",
         "/",
         "",
         {{"content-type", "application/x-www-form-urlencoded"}},
         "Param1=value1",
         "content-type;host;x-amz-date",
         "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
    };
    for (const Case& one : cases) {
        std::vector<net::Field> headers = one.more;
        const std::string time = aws_time(kTime);
        headers.push_back({"x-amz-date", time});
        headers.push_back({"host", "example.amazonaws.com"});
        SigningInput input;
        input.method = one.method;
        input.path = one.path;
        input.query = one.query;
        input.headers = headers;
        input.body = one.body;
        input.service = "service";
        input.unix_s = kTime;
        EXPECT_EQ(
            aws_authorization(kCredentials, input),
            std::string(
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
                "SignedHeaders=") +
                one.signed_headers + ", Signature=" + one.signature)
            << one.name;
    }
}

TEST(SigV4, WritesTimesAndAddresses) {
    EXPECT_EQ(aws_time(kTime), "20150830T123600Z");
    EXPECT_EQ(aws_time(0), "19700101T000000Z");
    EXPECT_EQ(uri_encode("anthropic.claude-3:0/a b"), "anthropic.claude-3%3A0%2Fa%20b");
    EXPECT_EQ(uri_encode("/model/x%3A0", "/"), "/model/x%253A0");
}

}  // namespace
}  // namespace leeway::providers
