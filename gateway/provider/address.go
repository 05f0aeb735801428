package provider

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"
)

// parseBase reads an administrator's base URL. It refuses what is no http(s)
// address, passwords in it, and addresses that no model lives at.
func parseBase(name, base string) (*url.URL, error) {
	u, err := url.Parse(base)
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil {
		return nil, fmt.Errorf("provider %s: the base URL must be http(s)://host[:port]/path without a password", name)
	}
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	ip, err := netip.ParseAddr(host)
	if err == nil && forbidden(ip) || slices.Contains(metadata, host) {
		return nil, fmt.Errorf("provider %s: link-local and metadata addresses are not allowed as base URL", name)
	}
	return u, nil
}

// metadata are names and addresses at which clouds give secrets to their machines.
var (
	metadata          = []string{"metadata", "metadata.google.internal", "metadata.goog", "instance-data", "instance-data.ec2.internal"}
	metadataAddresses = []netip.Addr{netip.MustParseAddr("fd00:ec2::254"), netip.MustParseAddr("100.100.100.200"), netip.MustParseAddr("192.0.0.192")}
)

func forbidden(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	return ip.IsLinkLocalUnicast() || ip.IsMulticast() || ip.IsUnspecified() || slices.Contains(metadataAddresses, ip)
}

var errForbidden = errors.New("a link-local or metadata address")

// allowed looks at every address before it is connected to: names may point
// anywhere, and elsewhere the next time.
func allowed(_, address string, _ syscall.RawConn) error {
	if at, err := netip.ParseAddrPort(address); err != nil || forbidden(at.Addr()) {
		return errForbidden
	}
	return nil
}

// newTransport reaches models over the network.
func newTransport() *Transport {
	return NewTransport((&net.Dialer{Timeout: 5 * time.Second, Control: allowed}).DialContext)
}
