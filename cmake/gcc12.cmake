set(CMAKE_C_COMPILER gcc-12)
set(CMAKE_CXX_COMPILER g++-12)
include(${CMAKE_CURRENT_LIST_DIR}/ccache.cmake)
