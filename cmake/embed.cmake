# cmake -DIN=file -DOUT=file.h -DNAME=symbol -P embed.cmake: a file as a constant array of bytes
file(READ ${IN} bytes HEX)
string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
string(REGEX REPLACE "((0x..,)(0x..,)(0x..,)(0x..,)(0x..,)(0x..,)(0x..,)(0x..,))" "\\1\n" bytes
       "${bytes}")
file(WRITE ${OUT} "#pragma once\n#include <stdint.h>\nstatic const uint8_t ${NAME}[] = {\n${bytes}};\n")
