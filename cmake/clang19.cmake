# Debian installs only suffixed names; ccache is used where it is installed.
set(CMAKE_C_COMPILER clang-19)
set(CMAKE_CXX_COMPILER clang++-19)
include(${CMAKE_CURRENT_LIST_DIR}/ccache.cmake)
