# SPDX-License-Identifier: Apache-2.0
# cmake -D NM=... -D ARCHIVE=libnq_session.a -P no_planted_bug.cmake
# Fails if the archive knows the switch of the planted bugs.
execute_process(COMMAND ${NM} -C ${ARCHIVE} OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
if(symbols MATCHES "planted")
    message(FATAL_ERROR "${ARCHIVE} contains planted bugs")
endif()
