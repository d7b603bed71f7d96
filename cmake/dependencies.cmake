# Every third-party library, found once and given a name of ours. DEPENDENCIES.md has the reasons.
#   leeway::dependencies       what leeway_core links
#   leeway::test_dependencies  what leeway_tests links in addition
find_package(Threads REQUIRED)
find_package(OpenSSL 3.0 REQUIRED)
find_package(SQLite3 3.40 REQUIRED)
find_package(ZLIB 1.2 REQUIRED)
find_package(Boost 1.81 REQUIRED)
find_package(simdjson 3.0 REQUIRED)
find_package(yaml-cpp 0.7 REQUIRED)
find_package(CLI11 2.1 REQUIRED)
find_package(spdlog 1.10 REQUIRED)
find_package(fmt 9.1 REQUIRED)
find_package(tl-expected REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
# Not by pkg-config: its -pthread would change how every file is compiled.
find_library(RE2_LIBRARY re2 REQUIRED)
find_library(LIBPQ_LIBRARY pq REQUIRED)
find_library(HIREDIS_LIBRARY hiredis REQUIRED)

add_library(leeway_dependencies INTERFACE)
add_library(leeway::dependencies ALIAS leeway_dependencies)
target_link_libraries(leeway_dependencies INTERFACE
    Threads::Threads OpenSSL::SSL OpenSSL::Crypto SQLite::SQLite3 ZLIB::ZLIB Boost::headers
    simdjson::simdjson yaml-cpp CLI11::CLI11 tl::expected PkgConfig::XXHASH ${RE2_LIBRARY} ${LIBPQ_LIBRARY} ${HIREDIS_LIBRARY})
target_compile_definitions(leeway_dependencies INTERFACE BOOST_ASIO_NO_DEPRECATED)
if(LEEWAY_HEADER_ONLY_LOG)
    # TSan reports false races at shutdown when these come from uninstrumented shared libraries.
    target_link_libraries(leeway_dependencies INTERFACE
        spdlog::spdlog_header_only fmt::fmt-header-only)
    target_compile_definitions(leeway_dependencies INTERFACE SPDLOG_FMT_EXTERNAL)
else()
    target_link_libraries(leeway_dependencies INTERFACE spdlog::spdlog fmt::fmt)
endif()

# ---------------------------------------------------------------- llama.cpp (optional)
set(leeway_llama_prefix "${LEEWAY_LLAMA_PREFIX}")
if(leeway_llama_prefix STREQUAL "")
    # The folder's name depends on the pinned commit and flags; only setup.sh knows the rule.
    execute_process(
        COMMAND ${CMAKE_SOURCE_DIR}/tools/setup.sh --print llama-prefix
        OUTPUT_VARIABLE leeway_llama_prefix OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
        ${CMAKE_SOURCE_DIR}/tools/setup/versions.sh)
endif()
set(LEEWAY_HAVE_LLAMA FALSE)
if(leeway_llama_prefix AND EXISTS "${leeway_llama_prefix}/lib/libllama.a")
    set(LEEWAY_HAVE_LLAMA TRUE)
    add_library(leeway_llama INTERFACE)
    target_include_directories(leeway_llama SYSTEM INTERFACE ${leeway_llama_prefix}/include)
    target_link_libraries(leeway_llama INTERFACE
        ${leeway_llama_prefix}/lib/libllama.a ${leeway_llama_prefix}/lib/libggml.a
        ${leeway_llama_prefix}/lib/libggml-cpu.a ${leeway_llama_prefix}/lib/libggml-base.a
        Threads::Threads ${CMAKE_DL_LIBS} m)
    target_compile_definitions(leeway_llama INTERFACE LEEWAY_HAVE_LLAMA=1)
    target_link_libraries(leeway_dependencies INTERFACE leeway_llama)
    message(STATUS "llama.cpp: ${leeway_llama_prefix}")
else()
    message(WARNING "llama.cpp was not found (run tools/setup.sh run): the embedded models are left out")
endif()

# ---------------------------------------------------------------- hnswlib (headers)
execute_process(
    COMMAND ${CMAKE_SOURCE_DIR}/tools/setup.sh --print hnswlib
    OUTPUT_VARIABLE leeway_hnswlib_prefix OUTPUT_STRIP_TRAILING_WHITESPACE)
if(NOT EXISTS "${leeway_hnswlib_prefix}/include/hnswlib/hnswlib.h")
    message(FATAL_ERROR "hnswlib was not found: run tools/setup.sh")
endif()
# For the one file that includes it (a directory of all targets would compile everything anew); its warnings are
# not ours.
set_source_files_properties(${CMAKE_SOURCE_DIR}/src/store/vectors/graph.cpp
    PROPERTIES COMPILE_OPTIONS "-isystem;${leeway_hnswlib_prefix}/include")

# ---------------------------------------------------------------- tests
if(LEEWAY_TESTS STREQUAL "AUTO")
    # A machine that only runs the gateway has no GoogleTest; ./test asks with ON and then insists.
    find_package(GTest 1.12 QUIET)
    find_package(rapidcheck QUIET)
    if(GTest_FOUND AND rapidcheck_FOUND)
        set(LEEWAY_TESTS ON)
    else()
        set(LEEWAY_TESTS OFF)
        message(STATUS "leeway_tests is left out: GoogleTest or rapidcheck is not installed")
    endif()
endif()
if(LEEWAY_TESTS)
    find_package(GTest 1.12 REQUIRED)
    find_package(rapidcheck REQUIRED)
    add_library(leeway_test_dependencies INTERFACE)
    add_library(leeway::test_dependencies ALIAS leeway_test_dependencies)
    target_link_libraries(leeway_test_dependencies INTERFACE
        GTest::gtest GTest::gmock GTest::gtest_main rapidcheck rapidcheck_gtest)
endif()
