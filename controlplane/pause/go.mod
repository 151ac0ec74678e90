module kubectl-pxauth/controlplane/pause

go 1.27
