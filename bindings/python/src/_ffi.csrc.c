#include <quicpro.h>
