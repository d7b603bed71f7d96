find_program(LEEWAY_CCACHE ccache)
if(LEEWAY_CCACHE)
    # Without these two it takes nothing that uses a precompiled header.
    set(CMAKE_C_COMPILER_LAUNCHER env CCACHE_SLOPPINESS=pch_defines,time_macros ${LEEWAY_CCACHE})
    set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_C_COMPILER_LAUNCHER})
endif()
