// Command rapport is the whole product: a server, and a command line for the
// people who run it and raise agents on it. See rapport --help.
package main

import (
	"os"

	"rapport/app/cli"
)

func main() { os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
