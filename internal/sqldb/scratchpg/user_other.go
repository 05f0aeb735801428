//go:build !unix

package scratchpg

import (
	"os/exec"
	"syscall"
)

// unprivileged: tests start no server here.
func unprivileged(string) (*syscall.SysProcAttr, error) { return nil, exec.ErrNotFound }
