# What is installed, and the Debian package: cmake --preset release && cmake --build --preset release, then
# cpack -G DEB --config build/release/CPackConfig.cmake
include(GNUInstallDirs)
set(CMAKE_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE
	WORLD_READ WORLD_EXECUTE)
set(iso_conf ${CMAKE_SOURCE_DIR}/conf)

install(TARGETS isochrone RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES ${iso_conf}/systemd/isochrone.service ${iso_conf}/systemd/isochrone.socket
	DESTINATION lib/systemd/system)
install(FILES ${iso_conf}/systemd/isochrone.sysusers DESTINATION lib/sysusers.d RENAME isochrone.conf)
install(FILES ${iso_conf}/default.json DESTINATION /etc/isochrone RENAME isochrone.json)
install(FILES ${iso_conf}/systemd/isochrone.default DESTINATION /etc/default RENAME isochrone
	PERMISSIONS OWNER_READ OWNER_WRITE)
install(FILES ${iso_conf}/isochrone.schema.json DESTINATION ${CMAKE_INSTALL_DATADIR}/isochrone)

file(GLOB iso_docs CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/docs/*.md)
file(GLOB iso_samples CONFIGURE_DEPENDS ${iso_conf}/*.json)
list(FILTER iso_samples EXCLUDE REGEX "schema|default")
install(FILES ${CMAKE_SOURCE_DIR}/README.md ${iso_docs} DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES ${iso_samples} DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples)
install(DIRECTORY ${iso_conf}/kubernetes DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples)

# What Debian wants compressed, and without a time in it.
function(iso_install_gz file destination name)
	set(made ${CMAKE_BINARY_DIR}/package/${name}.gz)
	if(EXISTS ${file})
		file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/package)
		execute_process(COMMAND gzip -9nc ${file} OUTPUT_FILE ${made} COMMAND_ERROR_IS_FATAL ANY)
		install(FILES ${made} DESTINATION ${destination})
	endif()
endfunction()
iso_install_gz(${CMAKE_SOURCE_DIR}/CHANGELOG.md ${CMAKE_INSTALL_DOCDIR} changelog)
file(GLOB iso_pages CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/docs/*.[158] ${CMAKE_SOURCE_DIR}/docs/man/*.[158])
foreach(page ${iso_pages})
	get_filename_component(name ${page} NAME)
	string(REGEX MATCH "[158]$" section ${name})
	iso_install_gz(${page} ${CMAKE_INSTALL_MANDIR}/man${section} ${name})
endforeach()

install(FILES ${CMAKE_CURRENT_LIST_DIR}/debian/copyright DESTINATION ${CMAKE_INSTALL_DOCDIR})
# Where llhttp has no library of its own it becomes a part of the binary, and its notice one of the package.
if(LLHTTP_SOURCES AND EXISTS /usr/share/doc/node-llhttp/copyright)
	install(FILES /usr/share/doc/node-llhttp/copyright DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME copyright.llhttp)
endif()

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME isochrone)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_VENDOR "The Isochrone authors")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "reverse proxy for an API that is deployed in several regions")
set(CPACK_PACKAGE_DESCRIPTION "It measures every region all the time, sends each request to the region that
will answer it soonest, and tries what may safely be tried again in another
region, so that clients do not notice when a region is lost.")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_MAINTAINER "The Isochrone authors <isochrone@packages.invalid>")
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "adduser, ca-certificates")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
foreach(script conffiles postinst prerm postrm)
	list(APPEND CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${CMAKE_CURRENT_LIST_DIR}/debian/${script})
endforeach()
include(CPack)
