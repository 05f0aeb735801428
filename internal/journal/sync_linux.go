package journal

import (
	"errors"
	"os"
	"syscall"
)

// datasync makes what was written durable. Where the file's length did not change
// nothing else of it is written.
func datasync(f *os.File) error {
	for {
		if err := syscall.Fdatasync(int(f.Fd())); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
