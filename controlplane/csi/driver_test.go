package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/libopenstorage/openstorage/pkg/auth"
)

const (
	issuer = "portworx.com"
	secret = "the shared secret"
)

func newDriver(t *testing.T) *driver {
	guard, err := newGuard(issuer, []byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	return &driver{guard: guard, store: store{t.TempDir()}}
}

type user struct {
	name   string
	role   string
	groups []string
}

var (
	alice    = user{name: "alice", role: "system.user"}
	bob      = user{name: "bob", role: "system.user"}
	viewer   = user{name: "alice", role: "system.view"}
	stranger = user{name: "alice", role: "of.nobody"}
	// A role lets its user call, and only the group reaches the volumes of others.
	outsider = user{name: "carol", role: "system.admin"}
	admin    = user{name: "carol", role: "system.admin", groups: []string{"*"}}
)

// A call's secrets, with the user's token.
func (u user) secrets(t *testing.T) map[string]string {
	return token(t, u, issuer, secret, time.Hour)
}

func token(
	t *testing.T, u user, issuer, secret string, lifetime time.Duration,
) map[string]string {
	signature, err := auth.NewSignatureSharedSecret(secret)
	if err != nil {
		t.Fatal(err)
	}
	claims := &auth.Claims{
		Issuer: issuer, Subject: u.name, Name: u.name, Email: u.name + "@example.com",
		Roles: []string{u.role}, Groups: u.groups,
	}
	options := &auth.Options{
		Expiration: time.Now().Add(lifetime).Unix(), IATSubtract: 10 * time.Minute,
	}
	signed, err := auth.Token(claims, signature, options)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{tokenKey: signed}
}

func (d *driver) made(name string, secrets map[string]string) (string, error) {
	answer, err := d.CreateVolume(context.Background(), &csi.CreateVolumeRequest{
		Name: name, Secrets: secrets, VolumeCapabilities: []*csi.VolumeCapability{{}},
	})
	return answer.GetVolume().GetVolumeId(), err
}

func refused(t *testing.T, err error, words string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), words) {
		t.Errorf("%v is not a refusal that says %q", err, words)
	}
}

func TestWhoMayMakeVolumes(t *testing.T) {
	for words, secrets := range map[string]map[string]string{
		"other.com is not a trusted issuer":     token(t, alice, "other.com", secret, time.Hour),
		"Unable to authenticate token":          token(t, alice, issuer, "another", time.Hour),
		"Unable to obtain token issuer":         {tokenKey: "nonsense"},
		"Access denied to roles: [of.nobody]":   stranger.secrets(t),
		"Access denied to roles: [system.view]": viewer.secrets(t),
	} {
		_, err := newDriver(t).made("data", secrets)
		refused(t, err, words)
	}
	_, err := newDriver(t).made("data", token(t, alice, issuer, secret, -time.Second))
	refused(t, err, "Unable to authenticate token")
}

func TestWhomAVolumeServes(t *testing.T) {
	d, ctx := newDriver(t), context.Background()
	id, err := d.made("data", alice.secrets(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, other := range []map[string]string{bob.secrets(t), outsider.secrets(t), nil} {
		_, err := d.DeleteVolume(ctx, &csi.DeleteVolumeRequest{VolumeId: id, Secrets: other})
		refused(t, err, "Access denied to volume "+id)
		_, err = d.CreateSnapshot(ctx, &csi.CreateSnapshotRequest{
			Name: "monday", SourceVolumeId: id, Secrets: other,
		})
		refused(t, err, "Access denied to volume "+id)
		_, err = d.NodePublishVolume(ctx, &csi.NodePublishVolumeRequest{
			VolumeId: id, TargetPath: t.TempDir(), Secrets: other,
			VolumeCapability: &csi.VolumeCapability{AccessMode: &csi.VolumeCapability_AccessMode{}},
		})
		refused(t, err, "Access denied to volume "+id)
		_, err = d.ControllerExpandVolume(ctx, &csi.ControllerExpandVolumeRequest{
			VolumeId: id, CapacityRange: &csi.CapacityRange{RequiredBytes: 9}, Secrets: other,
		})
		refused(t, err, "Access denied to volume "+id)
	}
	_, err = d.made("data", bob.secrets(t))
	refused(t, err, "already exists and is owned by another user")
	request := &csi.DeleteVolumeRequest{VolumeId: id, Secrets: admin.secrets(t)}
	if _, err := d.DeleteVolume(ctx, request); err != nil {
		t.Error(err)
	}
}

func TestAGuestsVolumeIsEverybodys(t *testing.T) {
	d := newDriver(t)
	id, err := d.made("data", nil)
	if err != nil {
		t.Fatal(err)
	}
	request := &csi.DeleteVolumeRequest{VolumeId: id, Secrets: bob.secrets(t)}
	if _, err := d.DeleteVolume(context.Background(), request); err != nil {
		t.Error(err)
	}
}
