package usersig

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

const (
	testKey  = "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e"
	testApp  = 1400000000
	testUser = "xiaojun"
	testTime = 1600000000
	testLife = 15552000

	tokenLevel0 = "eAEBqwBU-3siVExTLnZlciI6IjIuMCIsIlRMUy5pZGVudGlmaWVyIjoieGlhb2p1biIsIlRMUy5zZGthcHBpZCI6MTQwMDAwMDAwMCwiVExTLmV4cGlyZSI6MTU1NTIwMDAsIlRMUy50aW1lIjoxNjAwMDAwMDAwLCJUTFMuc2lnIjoiMVo1UG5nRGpHYXVmZVNpUG9CdXhkSFk3RUszSlRkQWpNUDkzUzRLdlYzTT0ifaoDMbs_"
	tokenLevel6 = "eJyrVgrxCdYrSy1SslIy0jNQ0gHzM1NS80oy0zLBwhWZiflZpXlQqeKU7MSCgswUJStDEwMogMikVhRkFqUCxU1NTY3goiWZuSAxM1S1xZnpQJMNo0wD8tJdstwTS9NSgzMD8p1KK1I8Is1dvY29QlIcs3wDLI2DTbzLwox9bZVqAaoDMbs_"
)

func claims(buf []byte) Claims {
	return Claims{SDKAppID: testApp, UserID: testUser, Issued: time.Unix(testTime, 0), Lifetime: testLife * time.Second, UserBuf: buf}
}

func verifierAt(sec int64) Verifier {
	return Verifier{SDKAppID: testApp, Key: testKey, Now: func() time.Time { return time.Unix(sec, 0) }}
}

// pack makes a token of any text.
func pack(text string) string {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	w.Write([]byte(text))
	w.Close()
	return toToken.Replace(base64.StdEncoding.EncodeToString(b.Bytes()))
}

func mapOf(room uint32, name string, p Privileges) PrivateMap {
	return PrivateMap{SDKAppID: testApp, UserID: testUser, RoomID: room, Room: name, Privileges: p, ExpiresAt: time.Unix(testTime+testLife, 0)}
}

func TestVectors(t *testing.T) {
	for _, c := range []struct {
		name, sig, buf string
		private        *PrivateMap
	}{
		{name: "A plain", sig: "1Z5PngDjGaufeSiPoBuxdHY7EK3JTdAjMP93S4KvV3M="},
		{name: "B room 10000", sig: "QQY8WpPtnz7YZSG2peQjkXFqylqgPMeZmrrJaErpMxE=",
			buf:     "0000077869616f6a756e53724e0000002710604b5e00000000ff00000000",
			private: new(mapOf(10000, "", AllPrivileges))},
		{name: "C room by name", sig: "s/dif9ajemqhHOs0VOTz4M+J99+JVuGVr9wr6qD+RiE=",
			buf:     "0100077869616f6a756e53724e0000000000604b5e000000002a00000000000a31303030303030303430",
			private: new(mapOf(0, "1000000040", ListenOnly))},
		{name: "D any bytes", sig: "9tvdyuu11RSxrIwX0xC05oW7LdPxVnzkzBpcRT/UqfM=", buf: hex.EncodeToString([]byte("abc"))},
	} {
		t.Run(c.name, func(t *testing.T) {
			buf, _ := hex.DecodeString(c.buf)
			if c.private != nil {
				built, err := BuildUserBuf(*c.private)
				if err != nil || !bytes.Equal(built, buf) {
					t.Fatalf("BuildUserBuf = %x, %v; want %x", built, err, buf)
				}
				if m, err := ParseUserBuf(buf); err != nil || m != *c.private {
					t.Fatalf("ParseUserBuf = %+v, %v; want %+v", m, err, *c.private)
				}
			}
			token, err := Sign(testKey, claims(buf))
			if err != nil {
				t.Fatal(err)
			}
			parsed, _, err := parse(token)
			if err != nil || parsed.Sig != c.sig {
				t.Fatalf("signature %q, %v; want %q", parsed.Sig, err, c.sig)
			}
			got, err := verifierAt(testTime).Verify(token, testUser)
			if err != nil || !bytes.Equal(got.UserBuf, buf) {
				t.Fatalf("Verify = %+v, %v", got, err)
			}
		})
	}
}

func TestVerifyForeignTokens(t *testing.T) {
	text := fmt.Sprintf(`{"TLS.sig":"1Z5PngDjGaufeSiPoBuxdHY7EK3JTdAjMP93S4KvV3M=","TLS.time":%d,"TLS.expire":%d,"TLS.sdkappid":%d,"TLS.identifier":"xiaojun","TLS.ver":"2.0"}`, testTime, testLife, testApp)
	for name, token := range map[string]string{"level 0": tokenLevel0, "level 6": tokenLevel6, "other order": pack(text)} {
		got, err := verifierAt(testTime).Verify(token, testUser)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got.SDKAppID != testApp || got.UserID != testUser || got.Issued.Unix() != testTime ||
			got.ExpiresAt().Unix() != testTime+testLife || got.UserBuf != nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestVerifyErrors(t *testing.T) {
	good := func() Verifier { return verifierAt(testTime) }
	sign := func(key string, c Claims) string {
		s, err := Sign(key, c)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	obj := func(from, to string) string {
		text := `{"TLS.ver":"2.0","TLS.identifier":"xiaojun","TLS.sdkappid":1400000000,"TLS.expire":15552000,"TLS.time":1600000000,"TLS.sig":"1Z5PngDjGaufeSiPoBuxdHY7EK3JTdAjMP93S4KvV3M="}`
		if !strings.Contains(text, from) {
			t.Fatalf("%q is not in the object", from)
		}
		return pack(strings.Replace(text, from, to, 1))
	}
	bomb := pack(`{"TLS.ver":"2.0","x":"` + strings.Repeat("a", 4<<20) + `"}`)
	if len(bomb) > maxToken {
		t.Fatalf("the bomb has %d characters", len(bomb))
	}
	other := claims(nil)
	other.UserID = "xiaohong"
	app := claims(nil)
	app.SDKAppID++
	for _, c := range []struct {
		name, token string
		v           Verifier
		want        error
	}{
		{"unchanged", obj("2.0", "2.0"), good(), nil},
		{"last second", tokenLevel6, verifierAt(testTime + testLife), nil},
		{"a second later", tokenLevel6, verifierAt(testTime + testLife + 1), ErrExpired},
		{"other key", sign(testKey+"x", claims(nil)), good(), ErrSignature},
		{"empty key", tokenLevel6, Verifier{SDKAppID: testApp, Now: good().Now}, ErrSignature},
		{"other user", sign(testKey, other), good(), ErrUserID},
		{"other app", sign(testKey, app), good(), ErrAppID},
		{"longer life", obj("15552000", "15552001"), good(), ErrSignature},
		{"user buffer added", obj(`"TLS.sig"`, `"TLS.userbuf":"YWJj","TLS.sig"`), good(), ErrSignature},
		{"short signature", obj("1Z5PngDjGaufeSiPoBuxdHY7EK3JTdAjMP93S4KvV3M=", "1Z5P"), good(), ErrSignature},
		{"signature is no base64", obj("1Z5P", "!!!!"), good(), ErrMalformed},
		{"no signature", obj("1Z5PngDjGaufeSiPoBuxdHY7EK3JTdAjMP93S4KvV3M=", ""), good(), ErrMalformed},
		{"version 1", obj("2.0", "1.0"), good(), ErrMalformed},
		{"no version", obj("TLS.ver", "x"), good(), ErrMalformed},
		{"no time", obj("TLS.time", "x"), good(), ErrMalformed},
		{"no user", obj("TLS.identifier", "x"), good(), ErrMalformed},
		{"user with line end", obj("xiaojun", `xiao\nTLS.sdkappid:1`), good(), ErrMalformed},
		{"time is text", obj("1600000000", `"1600000000"`), good(), ErrMalformed},
		{"app negative", obj("1400000000", "-1"), good(), ErrMalformed},
		{"time overflows", obj("1600000000", "9223372036854775807"), good(), ErrMalformed},
		{"expire overflows", obj("15552000", "9223372036854775807"), good(), ErrMalformed},
		{"expire negative", obj("15552000", "-15552000"), good(), ErrMalformed},
		{"user buffer is no base64", obj(`"TLS.sig"`, `"TLS.userbuf":"%","TLS.sig"`), good(), ErrMalformed},
		{"user buffer with line end", obj(`"TLS.sig"`, `"TLS.userbuf":"YW\nJj","TLS.sig"`), good(), ErrMalformed},
		{"not JSON", pack("hello"), good(), ErrMalformed},
		{"JSON null", pack("null"), good(), ErrMalformed},
		{"more after the JSON", pack("{}{}"), good(), ErrMalformed},
		{"bomb", bomb, good(), ErrMalformed},
		{"too long", strings.Repeat("A", maxToken+4), good(), ErrMalformed},
		{"not zlib", "AAAA", good(), ErrMalformed},
		{"cut short", tokenLevel6[:100], good(), ErrMalformed},
		{"plain base64", fromToken.Replace(tokenLevel0), good(), ErrMalformed},
		{"line end", tokenLevel6[:20] + "\n" + tokenLevel6[20:], good(), ErrMalformed},
		{"empty", "", good(), ErrMalformed},
	} {
		got, err := c.v.Verify(c.token, testUser)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if err != nil && (got.UserID != "" || got.UserBuf != nil) {
			t.Errorf("%s: claims %+v with an error", c.name, got)
		}
	}
}

func TestSignErrors(t *testing.T) {
	ok := claims(nil)
	for name, change := range map[string]func(*Claims){
		"no user":       func(c *Claims) { c.UserID = "" },
		"line end":      func(c *Claims) { c.UserID = "a\nb" },
		"bad UTF-8":     func(c *Claims) { c.UserID = "a\xff" },
		"short life":    func(c *Claims) { c.Lifetime = time.Millisecond },
		"negative life": func(c *Claims) { c.Lifetime = -time.Hour },
		"before 1970":   func(c *Claims) { c.Issued = time.Unix(-1, 0) },
		"big buffer":    func(c *Claims) { c.UserBuf = make([]byte, 10000) },
	} {
		c := ok
		change(&c)
		if s, err := Sign(testKey, c); !errors.Is(err, ErrClaims) || s != "" {
			t.Errorf("%s: %q, %v", name, s, err)
		}
	}
	if _, err := Sign("", ok); !errors.Is(err, ErrClaims) {
		t.Errorf("empty key: %v", err)
	}
}

func TestSignDefaults(t *testing.T) {
	s, err := Sign("k", Claims{SDKAppID: 1, UserID: "a&b<ü>"})
	if err != nil {
		t.Fatal(err)
	}
	c, err := Verifier{SDKAppID: 1, Key: "k"}.Verify(s, "a&b<ü>")
	if err != nil {
		t.Fatal(err)
	}
	if age := time.Since(c.Issued); age < 0 || age > time.Minute || c.Lifetime != 180*24*time.Hour {
		t.Errorf("issued %v ago, lifetime %v", age, c.Lifetime)
	}
}

func TestUserBufErrors(t *testing.T) {
	ok, _ := BuildUserBuf(mapOf(0, "lobby", ListenOnly))
	for n := range ok {
		if _, err := ParseUserBuf(ok[:n]); !errors.Is(err, ErrUserBuf) {
			t.Errorf("first %d bytes: %v", n, err)
		}
	}
	bad := append([]byte(nil), ok...)
	bad[0] = 2
	for name, b := range map[string][]byte{"one byte more": append(ok, 0), "version 2": bad} {
		if _, err := ParseUserBuf(b); !errors.Is(err, ErrUserBuf) {
			t.Errorf("%s: %v", name, err)
		}
	}
	both, noUser, late, long := mapOf(1, "x", 1), mapOf(1, "", 1), mapOf(1, "", 1), mapOf(0, strings.Repeat("x", 65536), 1)
	noUser.UserID, late.ExpiresAt = "", time.Unix(1<<32, 0)
	for _, m := range []PrivateMap{both, noUser, late, long} {
		if _, err := BuildUserBuf(m); !errors.Is(err, ErrUserBuf) {
			t.Errorf("%.40v: %v", m, err)
		}
	}
}

func FuzzVerify(f *testing.F) {
	f.Add(tokenLevel0, testUser)
	f.Add(tokenLevel6, testUser)
	f.Add(pack("{}"), "")
	f.Add("", "a")
	v := verifierAt(testTime)
	f.Fuzz(func(t *testing.T, sig, user string) {
		c, err := v.Verify(sig, user)
		if err != nil {
			return
		}
		// Without the key, only what was signed with it can verify.
		if c.UserID != testUser || c.ExpiresAt().Unix() != testTime+testLife || c.UserBuf != nil {
			t.Fatalf("forged: %+v", c)
		}
	})
}

// FuzzParse reaches behind zlib, where FuzzVerify rarely gets.
func FuzzParse(f *testing.F) {
	f.Add(`{"TLS.ver":"2.0","TLS.identifier":"a","TLS.sdkappid":1,"TLS.expire":1,"TLS.time":1,"TLS.userbuf":"YWJj","TLS.sig":"AAAA"}`)
	f.Add(`{"TLS.ver":"2.0"}`)
	v := verifierAt(testTime)
	f.Fuzz(func(t *testing.T, text string) {
		parsed, buf, err := parse(pack(text))
		if err != nil {
			return
		}
		if base64.StdEncoding.EncodeToString(buf) != parsed.UserBuf {
			t.Fatal("the user buffer is not what is signed")
		}
		c, err := v.Verify(pack(text), *parsed.Identifier)
		if err == nil && c.Issued.Unix() != testTime {
			t.Fatalf("forged: %+v", c)
		}
	})
}

func FuzzParseUserBuf(f *testing.F) {
	for _, m := range []PrivateMap{mapOf(10000, "", AllPrivileges), mapOf(0, "1000000040", ListenOnly)} {
		b, _ := BuildUserBuf(m)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseUserBuf(b)
		if err != nil {
			return
		}
		again, err := BuildUserBuf(m)
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%x became %+v became %x, %v", b, m, again, err)
		}
	})
}
