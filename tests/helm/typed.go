package main

import (
	"fmt"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	rbac "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"
)

// kinds are those that the chart may make, by their version and name.
var kinds = map[string]func() any{
	"v1 ConfigMap":      func() any { return new(core.ConfigMap) },
	"v1 Namespace":      func() any { return new(core.Namespace) },
	"v1 Service":        func() any { return new(core.Service) },
	"v1 ServiceAccount": func() any { return new(core.ServiceAccount) },
	"apps/v1 DaemonSet": func() any { return new(apps.DaemonSet) },
	"monitoring.coreos.com/v1 ServiceMonitor":         func() any { return new(monitoring.ServiceMonitor) },
	"rbac.authorization.k8s.io/v1 ClusterRole":        func() any { return new(rbac.ClusterRole) },
	"rbac.authorization.k8s.io/v1 ClusterRoleBinding": func() any { return new(rbac.ClusterRoleBinding) },
}

// typed reads a manifest as what it says that it is. Fields that Kubernetes does not know, and values of other types than
// it expects, are errors.
func typed(manifest string) (any, error) {
	var head struct{ APIVersion, Kind string }
	if err := yaml.Unmarshal([]byte(manifest), &head); err != nil {
		return nil, err
	}
	kind := fmt.Sprintf("%s %s", head.APIVersion, head.Kind)
	object, known := kinds[kind]
	if !known {
		return nil, fmt.Errorf("a kind that is not expected: %q", kind)
	}
	into := object()
	if err := yaml.UnmarshalStrict([]byte(manifest), into, yaml.DisallowUnknownFields); err != nil {
		return nil, fmt.Errorf("not a %s: %w", kind, err)
	}
	return into, nil
}
