package main

import (
	"context"
	"errors"
	"os"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/libopenstorage/openstorage/api"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// NodeGetInfo tells the node's name.
func (d *driver) NodeGetInfo(
	context.Context, *csi.NodeGetInfoRequest,
) (*csi.NodeGetInfoResponse, error) {
	return &csi.NodeGetInfoResponse{NodeId: d.node}, nil
}

// NodeGetCapabilities tells that volumes are mounted in one step.
func (d *driver) NodeGetCapabilities(
	context.Context, *csi.NodeGetCapabilitiesRequest,
) (*csi.NodeGetCapabilitiesResponse, error) {
	return &csi.NodeGetCapabilitiesResponse{}, nil
}

// NodePublishVolume mounts a volume of the token's user.
func (d *driver) NodePublishVolume(
	ctx context.Context, request *csi.NodePublishVolumeRequest,
) (*csi.NodePublishVolumeResponse, error) {
	switch {
	case request.VolumeId == "":
		return nil, status.Error(codes.InvalidArgument, "Volume id must be provided")
	case request.TargetPath == "":
		return nil, status.Error(codes.InvalidArgument, "Target path must be provided")
	case request.GetVolumeCapability().GetAccessMode() == nil:
		return nil, status.Error(codes.InvalidArgument, "Volume access mode must be provided")
	}
	d.lock.Lock()
	defer d.lock.Unlock()
	if _, err := d.admitted(
		ctx, request.Secrets, "OpenStorageMountAttach/Mount", request.VolumeId, api.Ownership_Write,
	); err != nil {
		return nil, err
	}
	return &csi.NodePublishVolumeResponse{}, mount(d.store.data(request.VolumeId), request.TargetPath)
}

// NodeUnpublishVolume unmounts a volume, for which the protocol sends no token.
func (d *driver) NodeUnpublishVolume(
	_ context.Context, request *csi.NodeUnpublishVolumeRequest,
) (*csi.NodeUnpublishVolumeResponse, error) {
	if request.VolumeId == "" {
		return nil, status.Error(codes.InvalidArgument, "Volume id must be provided")
	}
	if request.TargetPath == "" {
		return nil, status.Error(codes.InvalidArgument, "Target path must be provided")
	}
	d.lock.Lock()
	defer d.lock.Unlock()
	if err := unmount(request.TargetPath); err != nil {
		return nil, err
	}
	if err := os.Remove(request.TargetPath); err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	return &csi.NodeUnpublishVolumeResponse{}, nil
}

func mount(data, target string) error {
	if err := os.MkdirAll(target, 0o750); err != nil {
		return err
	}
	wanted, err := os.Stat(data)
	if err != nil {
		return err
	}
	there, err := os.Stat(target)
	if err != nil {
		return err
	}
	if os.SameFile(wanted, there) {
		return nil // a kubelet asks again when it has not heard the answer
	}
	return unix.Mount(data, target, "", unix.MS_BIND, "")
}

func unmount(path string) error {
	err := unix.Unmount(path, 0)
	// Nothing is mounted there, or nothing is there.
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
		return nil
	}
	return err
}
