module kubectl-pxauth/controlplane/ceiling

go 1.27
