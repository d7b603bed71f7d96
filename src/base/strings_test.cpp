#include "base/strings.hpp"

#include <gtest/gtest.h>

namespace leeway {
namespace {

TEST(Strings, FindsWordsOfAListInAnyCase) {
    for (const char* list :
         {"no-store", "No-Store", "private, NO-STORE", " max-age=0 ,\tno-store ,"})
        EXPECT_TRUE(list_has(list, "no-store")) << list;
    for (const char* list : {"", ",", "no-stores", "x=no-store", "no store", "no-\nstore"})
        EXPECT_FALSE(list_has(list, "no-store")) << list;
}

}  // namespace
}  // namespace leeway
