{{/* Helm itself adds app.kubernetes.io/managed-by to what it installs. */}}

{{- define "redtap.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* Of the release and the chart, or one of them where the release is named after the chart. */}}
{{- define "redtap.fullname" -}}
{{- $name := include "redtap.name" . -}}
{{- $both := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- .Values.fullnameOverride | default $both | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "redtap.selector" -}}
app.kubernetes.io/name: {{ include "redtap.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "redtap.labels" -}}
{{ include "redtap.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end -}}

{{- define "redtap.serviceAccount" -}}
{{- $created := ternary (include "redtap.fullname" .) "default" .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default $created -}}
{{- end -}}

{{- define "redtap.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The configuration file. Each value is in JSON, which is YAML too, and leaves no doubt whether "off" is a word. */}}
{{- define "redtap.configuration" -}}
{{- range $key, $value := .Values.config }}
{{- if not (kindIs "invalid" $value) }}
{{ $key }}: {{ toRawJson $value }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "redtap.watchesKubernetes" -}}
{{- if ne (get .Values.config "kubernetes" | toString) "off" }}true{{ end -}}
{{- end -}}

{{/* The port of ADDRESS:PORT. */}}
{{- define "redtap.port" -}}
{{- splitList ":" . | last -}}
{{- end -}}

{{/* An httpGet of `path`, where probes are answered: at health_listen if it is set, else with the metrics. */}}
{{- define "redtap.httpGet" -}}
{{- $config := .root.Values.config -}}
{{- $health := get $config "health_listen" -}}
{{- if and (get $config "web_config") (not $health) }}
{{- fail "config.web_config wants config.health_listen: probes have neither certificate nor password" }}
{{- end }}
{{- $place := $health | default $config.listen -}}
{{- $host := trimSuffix (printf ":%s" (include "redtap.port" $place)) $place | trimPrefix "[" | trimSuffix "]" -}}
{{- $loopback := or (hasPrefix "127." $host) (eq $host "::1") -}}
{{- if and $loopback (not .root.Values.hostNetwork) }}
{{- fail (printf "probes do not reach %s in a pod without hostNetwork" $place) }}
{{- end -}}
httpGet:
  path: {{ .path }}
  port: {{ ternary "health" "metrics" (not (empty $health)) }}
{{- if $loopback }}
  host: {{ $host | quote }}
{{- end }}
{{- end -}}

{{/* An AppArmor profile as Kubernetes before 1.30 has it, in an annotation. */}}
{{- define "redtap.appArmorAnnotation" -}}
{{- if eq .type "Localhost" -}}
localhost/{{ .localhostProfile }}
{{- else -}}
{{ ternary "runtime/default" "unconfined" (eq .type "RuntimeDefault") }}
{{- end -}}
{{- end -}}
