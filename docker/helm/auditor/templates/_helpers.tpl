{{- define "auditor.name" -}}
{{- printf "%s-auditor" .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "auditor.selector" -}}
app.kubernetes.io/name: auditor
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "auditor.labels" -}}
{{ include "auditor.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "auditor.blobsClaim" -}}
{{- .Values.blobs.claim.existing | default (printf "%s-blobs" (include "auditor.name" .)) -}}
{{- end -}}

{{/* What every pod of ours is held to. */}}
{{- define "auditor.pod" -}}
automountServiceAccountToken: false
{{- with .Values.serviceAccountName }}
serviceAccountName: {{ . }}
{{- end }}
enableServiceLinks: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    {{- toYaml .Values.seccompProfile | nindent 4 }}
{{- end -}}

{{- define "auditor.container" -}}
image: {{ printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
env:
  - name: AUDITOR_HOME
    value: /var/lib/auditor
  - name: AUDITOR_DATABASE_URL_FILE
    value: /run/secrets/auditor/{{ .Values.database.key }}
  - name: AUDITOR_BLOBS_URL
    value: {{ .Values.blobs.url | default "file:///var/lib/auditor-blobs" }}
  - name: AUDITOR_BLOBS_CACHE
    value: {{ .Values.blobs.cacheBytes | int64 | quote }}
{{- with .Values.blobs.existingSecret }}
envFrom:
  - secretRef:
      name: {{ . }}
{{- end }}
{{- end -}}

{{- define "auditor.mounts" -}}
- {name: home, mountPath: /var/lib/auditor}
- {name: tmp, mountPath: /tmp}
- {name: database, mountPath: /run/secrets/auditor, readOnly: true}
{{- if not .Values.blobs.url }}
- {name: blobs, mountPath: /var/lib/auditor-blobs}
{{- end }}
{{- if .Values.service.targets }}
- {name: targets, mountPath: /etc/auditor, readOnly: true}
{{- end }}
{{- end -}}

{{- define "auditor.volumes" -}}
- name: tmp
  emptyDir: {}
- name: database
  secret:
    secretName: {{ .Values.database.existingSecret }}
    defaultMode: 0440
{{- if not .Values.blobs.url }}
- name: blobs
  persistentVolumeClaim:
    claimName: {{ include "auditor.blobsClaim" . }}
{{- end }}
{{- if .Values.service.targets }}
- name: targets
  configMap:
    name: {{ include "auditor.name" . }}-targets
{{- end }}
{{- end -}}
