// Renders a chart as Helm would and prints the manifests, each checked field by field against Kubernetes' own types.
//
//	helm [-name NAME] [-namespace NAMESPACE] [-kubernetes VERSION] [-values FILE]… CHART
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"strings"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/releaseutil"
)

// current is the version of Kubernetes that manifests are made for when none is named.
const current = "1.34.0"

// release is how a chart is to be installed.
type release struct {
	name, namespace string
	// kubernetes is the version of the cluster.
	kubernetes string
	// values are YAML texts, later ones being stronger.
	values []string
}

func main() {
	log.SetFlags(0)
	var install release
	var files list
	flag.StringVar(&install.name, "name", "redtap", "name of the release")
	flag.StringVar(&install.namespace, "namespace", "redtap", "namespace of the release")
	flag.StringVar(&install.kubernetes, "kubernetes", current, "version of Kubernetes")
	flag.Var(&files, "values", "file with values; may be repeated")
	flag.Parse()
	if flag.NArg() != 1 {
		log.Fatal("which chart?")
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			log.Fatal(err)
		}
		install.values = append(install.values, string(text))
	}
	manifests, err := render(flag.Arg(0), install)
	if err != nil {
		log.Fatal(err)
	}
	for _, manifest := range manifests {
		if _, err := typed(manifest); err != nil {
			log.Fatalf("%v, in:\n%s", err, manifest)
		}
	}
	if err := write(os.Stdout, manifests); err != nil {
		log.Fatal(err)
	}
}

// render gives the manifests of the chart in a directory, in the order in which Helm installs them.
func render(directory string, install release) ([]string, error) {
	chart, err := loader.Load(directory)
	if err != nil {
		return nil, err
	}
	values := chartutil.Values{}
	for _, text := range install.values {
		stronger, err := chartutil.ReadValues([]byte(text))
		if err != nil {
			return nil, err
		}
		values = chartutil.MergeTables(stronger, values)
	}
	version, err := chartutil.ParseKubeVersion(install.kubernetes)
	if err != nil {
		return nil, err
	}
	if wanted := chart.Metadata.KubeVersion; !chartutil.IsCompatibleRange(wanted, version.Version) {
		return nil, fmt.Errorf("the chart wants Kubernetes %s, not %s", wanted, version.Version)
	}
	capabilities := chartutil.DefaultCapabilities.Copy()
	capabilities.KubeVersion = *version
	options := chartutil.ReleaseOptions{Name: install.name, Namespace: install.namespace, Revision: 1, IsInstall: true}
	// The schema of the values is checked here.
	all, err := chartutil.ToRenderValues(chart, values, options, capabilities)
	if err != nil {
		return nil, err
	}
	// Strict: what the templates name and the values do not have is an error.
	texts, err := engine.Engine{Strict: true}.Render(chart, all)
	if err != nil {
		return nil, err
	}
	for name := range texts {
		if strings.HasSuffix(name, "NOTES.txt") {
			delete(texts, name)
		}
	}
	_, sorted, err := releaseutil.SortManifests(texts, nil, releaseutil.InstallOrder)
	if err != nil {
		return nil, err
	}
	manifests := make([]string, 0, len(sorted))
	for _, manifest := range sorted {
		manifests = append(manifests, strings.Trim(manifest.Content, "\n"))
	}
	return manifests, nil
}

func write(to io.Writer, manifests []string) error {
	_, err := fmt.Fprintf(to, "%s\n", strings.Join(manifests, "\n---\n"))
	return err
}

// list is a flag that may be repeated.
type list []string

func (l *list) String() string { return strings.Join(*l, ",") }

func (l *list) Set(value string) error {
	*l = append(*l, value)
	return nil
}
