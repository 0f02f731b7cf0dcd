# Warnings, sanitizers and hardening for every target of the project.
add_library(iso_options INTERFACE)
target_compile_options(iso_options INTERFACE -Wall -Wextra -Wshadow -Wconversion -Wvla -Wstrict-prototypes
	-Wmissing-prototypes -Wpointer-arith -Wundef -Werror -fno-common -fno-strict-overflow)
target_compile_definitions(iso_options INTERFACE _GNU_SOURCE ISO_VERSION="${PROJECT_VERSION}")
target_include_directories(iso_options INTERFACE ${CMAKE_SOURCE_DIR}/include)

if(ISO_SANITIZE)
	target_compile_options(iso_options INTERFACE -fsanitize=${ISO_SANITIZE} -fno-omit-frame-pointer
		-fno-sanitize-recover=all)
	target_link_options(iso_options INTERFACE -fsanitize=${ISO_SANITIZE})
endif()
if(ISO_COVERAGE)
	target_compile_options(iso_options INTERFACE --coverage)
	target_link_options(iso_options INTERFACE --coverage)
endif()
if(CMAKE_BUILD_TYPE STREQUAL "Release")
	target_compile_options(iso_options INTERFACE -fstack-protector-strong -fstack-clash-protection -fPIE
		-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
	target_link_options(iso_options INTERFACE -pie -Wl,-z,relro,-z,now,-z,noexecstack)
endif()

# A broken invariant always trips its assert, in the release too.
foreach(type RELEASE RELWITHDEBINFO MINSIZEREL)
	string(REPLACE "-DNDEBUG" "" CMAKE_C_FLAGS_${type} "${CMAKE_C_FLAGS_${type}}")
endforeach()
