//go:build !unix

package app

import "os"

// tryLock relies on the databases' own locks where the system has no flock.
func tryLock(*os.File) error { return nil }
