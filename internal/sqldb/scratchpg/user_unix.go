//go:build unix

package scratchpg

import (
	"errors"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// unprivileged gives the folder to whom the server runs as: it refuses root.
func unprivileged(dir string) (*syscall.SysProcAttr, error) {
	group := &syscall.SysProcAttr{Setpgid: true} // an interrupt at the keyboard is not for it
	if os.Getuid() != 0 {
		return group, nil
	}
	var errs []error
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		group.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		return group, os.Chown(dir, uid, gid)
	}
	return nil, errors.Join(errs...)
}
