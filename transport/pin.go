package transport

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// CertificatePin returns the pin of a certificate: the SHA-256 hash of its
// DER form, 32 bytes. Browsers call it a server certificate hash.
func CertificatePin(cert *x509.Certificate) []byte {
	sum := sha256.Sum256(cert.Raw)
	return sum[:]
}

// ParsePin reads a pin in hexadecimal, with or without colons between the
// bytes (as openssl and browsers show it), or in base64 of either alphabet.
// Several with commas between them become one pin of that many times 32 bytes,
// of which any will do: that of a server's certificate and that of the next.
func ParsePin(s string) ([]byte, error) {
	var pins []byte
	for one := range strings.SplitSeq(s, ",") {
		pin, err := parsePin(strings.TrimSpace(one))
		if err != nil {
			return nil, err
		}
		pins = append(pins, pin...)
	}
	return pins, nil
}

func parsePin(s string) ([]byte, error) {
	if pin, err := hex.DecodeString(strings.ReplaceAll(s, ":", "")); err == nil && len(pin) == sha256.Size {
		return pin, nil
	}
	unpadded := strings.TrimRight(s, "=")
	for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		if pin, err := enc.DecodeString(unpadded); err == nil && len(pin) == sha256.Size {
			return pin, nil
		}
	}
	return nil, fmt.Errorf("transport: %q is not a certificate pin: want the 32 bytes of a SHA-256 hash, in hexadecimal or base64", clip(s, 100))
}

// clientTLS returns the configuration to dial host with. A pin, if there is
// one, decides alone; else the certificate has to be valid for host under the
// roots in c or the system's, whatever else c says.
func clientTLS(c *tls.Config, pin []byte, host string, protocols []string) (*tls.Config, error) {
	if len(pin)%sha256.Size != 0 {
		return nil, fmt.Errorf("transport: a certificate pin has %d bytes, not %d", sha256.Size, len(pin))
	}
	if c == nil {
		c = new(tls.Config)
	}
	c = c.Clone()
	c.NextProtos = protocols
	c.MinVersion = tls.VersionTLS13
	c.ClientSessionCache = nil
	if c.ServerName == "" {
		c.ServerName = host
	}
	c.InsecureSkipVerify = false
	if len(pin) == 0 {
		return c, nil
	}
	// crypto/tls knows no pins: its own check has to be off for ours to decide.
	c.InsecureSkipVerify = true
	c.VerifyPeerCertificate = nil
	c.VerifyConnection = func(state tls.ConnectionState) error {
		if len(state.PeerCertificates) == 0 || !pinned(pin, CertificatePin(state.PeerCertificates[0])) {
			return ErrPin
		}
		return nil
	}
	return c, nil
}

// pinned reports whether hash is one of those in pin.
func pinned(pin, hash []byte) bool {
	for one := range slices.Chunk(pin, sha256.Size) {
		if bytes.Equal(one, hash) {
			return true
		}
	}
	return false
}
