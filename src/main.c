/* SPDX-License-Identifier: Apache-2.0
 * The only main(). */
#include "cli/command.h"

int main(int argc, char **argv)
{
    return fj_cli_main(argc, argv);
}
