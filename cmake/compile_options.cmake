# Warnings, hardening and sanitizers of our own code, as leeway::options.
add_library(leeway_options INTERFACE)
add_library(leeway::options ALIAS leeway_options)

target_compile_options(leeway_options INTERFACE
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -fno-omit-frame-pointer
    -ffunction-sections -fdata-sections)
target_link_options(leeway_options INTERFACE -Wl,--gc-sections -Wl,--as-needed)
target_compile_definitions(leeway_options INTERFACE
    LEEWAY_DEBUG_CHECKS=$<BOOL:${LEEWAY_DEBUG_CHECKS}>)

if(LEEWAY_WERROR)
    target_compile_options(leeway_options INTERFACE -Werror)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    # Leaving members out of a designated initialiser is how we say "default".
    target_compile_options(leeway_options INTERFACE
        -fcolor-diagnostics -Wno-missing-designated-field-initializers)
    target_link_options(leeway_options INTERFACE -fuse-ld=lld)
else()
    # g++ 12 reports these falsely in coroutine frames and in optimised library code.
    target_compile_options(leeway_options INTERFACE
        -Wno-maybe-uninitialized -Wno-array-bounds -Wno-stringop-overflow -Wno-restrict
        -Wno-dangling-pointer -Wno-unknown-pragmas)
endif()

if(LEEWAY_HARDENING)
    # None of these shows in the CPU time of a request; -D_GLIBCXX_ASSERTIONS is in the debug presets.
    target_compile_options(leeway_options INTERFACE
        -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection
        -fcf-protection=full)
    target_link_options(leeway_options INTERFACE -Wl,-z,relro,-z,now -Wl,-z,noexecstack)
endif()
include(CheckPIESupported)
check_pie_supported()

if(LEEWAY_DEBUG_CHECKS)
    target_compile_definitions(leeway_options INTERFACE _GLIBCXX_ASSERTIONS)
endif()
if(LEEWAY_SANITIZE)
    target_compile_options(leeway_options INTERFACE
        -fsanitize=${LEEWAY_SANITIZE} -fno-sanitize-recover=all)
    target_link_options(leeway_options INTERFACE -fsanitize=${LEEWAY_SANITIZE})
endif()
