package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	rbac "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"
)

const (
	kubernetes    = "../../deploy/kubernetes"
	chart         = kubernetes + "/chart/redtap"
	plain         = kubernetes + "/redtap.yaml"
	documentation = "../../docs/configuration.md"
)

// A case is values, and what is in the manifests that come of them.
type renderCase struct {
	name, values, kubernetes string
	has, lacks               []string
}

var renders = []renderCase{
	{
		name: "defaults",
		has: []string{
			"kind: ClusterRole\n", "kind: ClusterRoleBinding\n", "kind: ConfigMap\n", "kind: ServiceAccount\n",
			`listen: "0.0.0.0:9440"`, `kubernetes: "on"`, "image: \"localhost/redtap:0.1.0\"", "hostPID: true",
			"hostNetwork: true", "dnsPolicy: ClusterFirstWithHostNet", "enableServiceLinks: false",
			"automountServiceAccountToken: true", "allowPrivilegeEscalation: false", "readOnlyRootFilesystem: true",
			"drop: [ALL]", "- DAC_READ_SEARCH", "type: RuntimeDefault", "type: Unconfined", "fieldPath: spec.nodeName",
			"endpointslices", `prometheus.io/port: "9440"`, "operator: Exists",
			"recursiveReadOnly: IfPossible",
		},
		lacks: []string{
			"privileged: true", "SYS_ADMIN\n", "kind: Service\n", "ServiceMonitor", "OTEL_", "apparmor.security",
			"priorityClassName", "host: ",
		},
	},
	{
		name:   "privileged",
		values: "security: {privileged: true}",
		has:    []string{"privileged: true", "readOnlyRootFilesystem: true"},
		lacks:  []string{"capabilities:", "seccompProfile", "appArmorProfile", "allowPrivilegeEscalation"},
	},
	{
		name:   "older connections",
		values: "security: {olderConnections: true}",
		has:    []string{"- SYS_ADMIN\n", "- BPF\n"},
		lacks:  []string{"privileged: true", "allowPrivilegeEscalation: false"},
	},
	{
		name: "profiles of another runtime",
		values: "security:\n  seccompProfile: {type: Localhost, localhostProfile: redtap.json}\n" +
			"  seLinuxOptions: {type: spc_t}",
		has: []string{"localhostProfile: redtap.json", "type: spc_t"},
	},
	{
		name:   "without Kubernetes",
		values: `config: {kubernetes: "off"}`,
		has:    []string{`kubernetes: "off"`, "automountServiceAccountToken: false\n      # Var", "kind: ServiceAccount\n"},
		lacks:  []string{"ClusterRole", "automountServiceAccountToken: true"},
	},
	{
		name:   "without peers",
		values: `config: {kubernetes_peers: "off"}`,
		has:    []string{"resources: [pods]", "resources: [jobs]"},
		lacks:  []string{"resources: [services", "resources: [endpointslices]", "discovery.k8s.io"},
	},
	{
		name:   "roles of somebody else's making",
		values: "rbac: {create: false}\nserviceAccount: {create: false, name: watcher}",
		has:    []string{"serviceAccountName: watcher", "automountServiceAccountToken: true"},
		lacks:  []string{"ClusterRole", "kind: ServiceAccount\n"},
	},
	{
		name:   "a ServiceMonitor",
		values: "serviceMonitor: {enabled: true, labels: {release: prometheus}, endpoint: {scheme: https}, spec: {sampleLimit: 100000}}",
		has: []string{
			"kind: ServiceMonitor\n", "kind: Service\n", "clusterIP: None", "release: prometheus", "scheme: https",
			"sampleLimit: 100000",
		},
		lacks: []string{"prometheus.io/scrape"},
	},
	{
		name:   "a Service alone",
		values: "service: {enabled: true}",
		has:    []string{"kind: Service\n", "prometheus.io/scrape"},
		lacks:  []string{"ServiceMonitor"},
	},
	{
		name:   "a Collector on each node",
		values: "otlp: {endpoint: 'http://$(NODE_IP):4318', protocol: http/protobuf}",
		has:    []string{"OTEL_EXPORTER_OTLP_ENDPOINT", `"http://$(NODE_IP):4318"`, "status.hostIP", `"http/protobuf"`},
	},
	{
		name: "a network of its own, with certificates",
		values: `
hostNetwork: false
config: {listen: "[::]:9441", health_listen: "[::]:9442", web_config: /files/web/web.yml}
files: [{name: web, secret: redtap-web}, {name: ca, configMap: authorities}]
`,
		has: []string{
			"dnsPolicy: ClusterFirst\n", "containerPort: 9441", "containerPort: 9442", "port: health",
			"mountPath: /files/web", "secretName: redtap-web", "name: authorities", `prometheus.io/port: "9441"`,
		},
		lacks: []string{"port: metrics\n            period"},
	},
	{
		name:   "probes on loopback",
		values: `config: {listen: "127.0.0.1:9440"}`,
		has:    []string{`host: "127.0.0.1"`},
	},
	{
		name: "values as they are written",
		values: `
config:
  max_flows: 10000000
  capture_length: 4KiB
  timings: true
  print: "off"
  kubernetes: null
  exclude_attributes: ['*:url_scheme', "a<b&c>"]
`,
		has: []string{
			"max_flows: 10000000\n", `capture_length: "4KiB"`, "timings: true", `print: "off"`,
			`exclude_attributes: ["*:url_scheme","a<b&c>"]`,
		},
		lacks: []string{`kubernetes: `},
	},
	{
		name: "an image by its digest",
		values: "image: {repository: registry.example/redtap, pullSecrets: [registry], " +
			"digest: 'sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef'}",
		has: []string{"registry.example/redtap@sha256:0123456789abcdef", "imagePullSecrets:", "- name: registry"},
	},
	{
		name:       "an AppArmor profile before Kubernetes 1.30",
		kubernetes: "1.29.3",
		has:        []string{"container.apparmor.security.beta.kubernetes.io/redtap: unconfined"},
		lacks:      []string{"appArmorProfile", "recursiveReadOnly"},
	},
	{
		name:   "other names",
		values: "fullnameOverride: watcher\npodLabels: {team: platform}\npriorityClassName: system-node-critical",
		has:    []string{"kind: DaemonSet\nmetadata:\n  name: watcher\n", "team: platform", "system-node-critical"},
	},
}

func TestManifestsHaveWhatTheValuesSay(t *testing.T) {
	for _, test := range renders {
		t.Run(test.name, func(t *testing.T) {
			manifests := rendered(t, test.kubernetes, test.values)
			text := strings.Join(manifests, "\n---\n")
			for _, has := range test.has {
				if !strings.Contains(text, has) {
					t.Errorf("without %q:\n%s", has, text)
				}
			}
			for _, lacks := range test.lacks {
				if strings.Contains(text, lacks) {
					t.Errorf("with %q:\n%s", lacks, text)
				}
			}
			for _, manifest := range manifests {
				sound(t, manifest)
			}
		})
	}
}

func TestValuesThatCannotBeMeantAreRefused(t *testing.T) {
	for values, told := range map[string]string{
		"hostnetwork: true":                                   "hostnetwork",
		"image: {tags: a}":                                    "tags",
		"config: {captur_length: 1}":                          "captur_length",
		"config: {node_name: a}":                              "node_name",
		"config: {kubernetes_peers: off}":                     "kubernetes_peers",
		"config: {listen: 'unix:/run/a.sock'}":                "listen",
		"config: {listen: null}":                              "listen",
		"config: {web_config: /files/web.yml}":                "health_listen",
		"security: {capabilities: [CAP_BPF]}":                 "capabilities",
		"files: [{name: a}]":                                  "files",
		"files: [{name: a/b, secret: c}]":                     "files",
		"otlp: {protocol: http}":                              "protocol",
		"serviceMonitor: {interval: often}":                   "interval",
		"resources: {limit: {memory: 1Gi}}":                   "limit",
		"security: {appArmorProfile: {type: a}}":              "appArmorProfile",
		"hostNetwork: false\nconfig: {listen: '127.0.0.1:1'}": "probes do not reach",
	} {
		_, err := render(chart, release{"redtap", "redtap", current, []string{values}})
		if err == nil || !strings.Contains(err.Error(), told) {
			t.Errorf("%s: %v", values, err)
		}
	}
}

func TestAFieldThatKubernetesDoesNotKnowIsAnError(t *testing.T) {
	for manifest, wrong := range map[string]bool{
		"apiVersion: v1\nkind: Namespace\nmetadata: {name: a}":    false,
		"apiVersion: v1\nkind: Namespace\nmetadata: {names: a}":   true,
		"apiVersion: v1\nkind: Namespace\nmetadata: {labels: []}": true,
		"apiVersion: v1\nkind: Pod\nmetadata: {name: a}":          true,
	} {
		if _, err := typed(manifest); (err != nil) != wrong {
			t.Errorf("%s: %v", manifest, err)
		}
	}
}

func TestThePlainManifestIsSound(t *testing.T) {
	for _, manifest := range strings.Split(read(t, plain), "\n---\n") {
		sound(t, manifest)
	}
}

// What the chart takes is what redtap takes: neither a setting that is gone nor one that the chart does not know.
func TestTheSchemaHasEverySetting(t *testing.T) {
	documented := []string{}
	// Rows of five cells; other tables have fewer.
	rows := regexp.MustCompile("(?m)^\\| `([a-z0-9_]+)` \\|(?:(?:[^|\\\\\n]|\\\\.)*\\|){4}$")
	for _, row := range rows.FindAllStringSubmatch(read(t, documentation), -1) {
		// The DaemonSet has it from Kubernetes.
		if row[1] != "node_name" {
			documented = append(documented, row[1])
		}
	}
	known := keys(schema(t).Properties["config"].Properties)
	for _, key := range documented {
		if !slices.Contains(known, key) {
			t.Errorf("%s is a setting, and not in values.schema.json", key)
		}
	}
	for _, key := range known {
		if !slices.Contains(documented, key) {
			t.Errorf("%s is in values.schema.json, and no setting", key)
		}
	}
}

func TestEveryValueIsInTheValuesFile(t *testing.T) {
	var values map[string]any
	if err := yaml.Unmarshal([]byte(read(t, chart+"/values.yaml")), &values); err != nil {
		t.Fatal(err)
	}
	for key, property := range schema(t).Properties {
		value, there := values[key]
		if !there && key != "global" {
			t.Errorf("%s is not in values.yaml", key)
		}
		// Those that have their defaults from elsewhere.
		if slices.Contains([]string{"config", "startupProbe", "livenessProbe", "readinessProbe", "updateStrategy"}, key) {
			continue
		}
		for inner := range property.Properties {
			if group, _ := value.(map[string]any); group[inner] == nil {
				t.Errorf("%s.%s is not in values.yaml", key, inner)
			}
		}
	}
}

// sound reads a manifest and checks what holds of every one of its kind.
func sound(t *testing.T, manifest string) {
	t.Helper()
	object, err := typed(manifest)
	if err != nil {
		t.Fatalf("%v, in:\n%s", err, manifest)
	}
	switch object := object.(type) {
	case *apps.DaemonSet:
		soundDaemonSet(t, object)
	case *core.ConfigMap:
		var settings map[string]any
		if err := yaml.UnmarshalStrict([]byte(object.Data["redtap.yaml"]), &settings); err != nil || len(settings) == 0 {
			t.Errorf("%v, in:\n%s", err, object.Data["redtap.yaml"])
		}
	case *rbac.ClusterRole:
		for _, rule := range object.Rules {
			for _, verb := range rule.Verbs {
				if !slices.Contains([]string{"get", "list", "watch"}, verb) {
					t.Errorf("%s may %s %v", object.Name, verb, rule.Resources)
				}
			}
		}
	case *rbac.ClusterRoleBinding:
		if object.RoleRef.Name == "" || len(object.Subjects) != 1 || object.Subjects[0].Namespace != "redtap" {
			t.Errorf("a binding of nothing: %+v", object)
		}
	case *monitoring.ServiceMonitor:
		if len(object.Spec.Endpoints) != 1 || object.Spec.Selector.MatchLabels["app.kubernetes.io/name"] == "" {
			t.Errorf("a monitor of nothing: %+v", object.Spec)
		}
	}
}

func soundDaemonSet(t *testing.T, set *apps.DaemonSet) {
	t.Helper()
	template := set.Spec.Template
	if set.Namespace != "redtap" || len(template.Spec.Containers) != 1 {
		t.Fatalf("not what is expected of it: %+v", set)
	}
	for key, value := range set.Spec.Selector.MatchLabels {
		if template.Labels[key] != value {
			t.Errorf("its pods have no label %s=%s", key, value)
		}
	}
	container := template.Spec.Containers[0]
	volumes := map[string]core.Volume{}
	for _, volume := range template.Spec.Volumes {
		volumes[volume.Name] = volume
	}
	places := map[string]bool{}
	for _, mount := range container.VolumeMounts {
		volume, there := volumes[mount.Name]
		if !there || !mount.ReadOnly || places[mount.MountPath] {
			t.Errorf("%s: no such volume, or to be written to, or twice in one place", mount.MountPath)
		}
		if volume.HostPath != nil && volume.HostPath.Path != mount.MountPath {
			t.Errorf("%s is elsewhere in the container", volume.HostPath.Path)
		}
		places[mount.MountPath] = true
	}
	ports := map[string]int32{}
	for _, port := range container.Ports {
		ports[port.Name] = port.ContainerPort
	}
	probes := []*core.Probe{container.StartupProbe, container.LivenessProbe, container.ReadinessProbe}
	for place, path := range []string{"/healthz", "/healthz", "/readyz"} {
		get := probes[place].HTTPGet
		if get.Path != path || ports[get.Port.StrVal] == 0 {
			t.Errorf("a probe of %s at %v", get.Path, get.Port)
		}
	}
	if container.Resources.Requests.Memory().IsZero() || container.Resources.Limits.Memory().IsZero() {
		t.Error("no word of its memory")
	}
	confinement := container.SecurityContext
	if *confinement.RunAsUser != 0 || !*confinement.ReadOnlyRootFilesystem {
		t.Errorf("%+v", confinement)
	}
	if confinement.Privileged == nil && !slices.Equal(confinement.Capabilities.Drop, []core.Capability{"ALL"}) {
		t.Errorf("keeps capabilities: %+v", confinement.Capabilities)
	}
}

func rendered(t *testing.T, kubernetes string, values ...string) []string {
	t.Helper()
	if kubernetes == "" {
		kubernetes = current
	}
	manifests, err := render(chart, release{"redtap", "redtap", kubernetes, values})
	if err != nil {
		t.Fatal(err)
	}
	return manifests
}

// property is as much of a JSON schema as is looked at.
type property struct {
	Properties map[string]property
}

func schema(t *testing.T) property {
	t.Helper()
	var all property
	if err := yaml.Unmarshal([]byte(read(t, chart+"/values.schema.json")), &all); err != nil {
		t.Fatal(err)
	}
	return all
}

func keys(properties map[string]property) []string {
	names := make([]string, 0, len(properties))
	for name := range properties {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
