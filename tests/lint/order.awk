# order.awk - the layers: which of the others each may use. For layers.awk and symbols.awk.
BEGIN {
	allow["base"]     = "base"
	allow["firmware"] = "base firmware"
	allow["core"]     = "base core"
	allow["bus"]      = "base core bus"
	allow["backend"]  = "base core backend"
	allow["devices"]  = "base core bus firmware backend devices"
	allow["machine"]  = "base core bus backend devices machine"
	allow["arch"]     = "base core bus firmware backend devices machine arch"
	allow["vm"]       = "base core bus backend devices machine arch vm"
	allow["image"]    = "base backend image"
	allow["api"]      = "base vm api"
	allow["schema"]   = "schema"
	allow["runner"]   = "runner schema"
}
