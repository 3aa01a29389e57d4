      *> One finished request, for an access log.
      *>   COPY "hasty-access.cpy" REPLACING ==:TAG:== BY ==name==.
      *> Generated from include/hasty.h by bindings/declare.py.
       01 :TAG:.
           05 :TAG:-size
               USAGE BINARY-DOUBLE UNSIGNED VALUE 0.
           05 :TAG:-method.
               10 :TAG:-method-data
                   USAGE POINTER VALUE NULL.
               10 :TAG:-method-len
                   USAGE BINARY-DOUBLE UNSIGNED VALUE 0.
           05 :TAG:-target.
               10 :TAG:-target-data
                   USAGE POINTER VALUE NULL.
               10 :TAG:-target-len
                   USAGE BINARY-DOUBLE UNSIGNED VALUE 0.
           05 :TAG:-route.
               10 :TAG:-route-data
                   USAGE POINTER VALUE NULL.
               10 :TAG:-route-len
                   USAGE BINARY-DOUBLE UNSIGNED VALUE 0.
           05 :TAG:-remote-address.
               10 :TAG:-remote-address-data
                   USAGE POINTER VALUE NULL.
               10 :TAG:-remote-address-len
                   USAGE BINARY-DOUBLE UNSIGNED VALUE 0.
           05 :TAG:-user-agent.
               10 :TAG:-user-agent-data
                   USAGE POINTER VALUE NULL.
               10 :TAG:-user-agent-len
                   USAGE BINARY-DOUBLE UNSIGNED VALUE 0.
           05 :TAG:-referer.
               10 :TAG:-referer-data
                   USAGE POINTER VALUE NULL.
               10 :TAG:-referer-len
                   USAGE BINARY-DOUBLE UNSIGNED VALUE 0.
           05 :TAG:-id.
               10 :TAG:-id-data
                   USAGE POINTER VALUE NULL.
               10 :TAG:-id-len
                   USAGE BINARY-DOUBLE UNSIGNED VALUE 0.
           05 :TAG:-bytes-in
               USAGE BINARY-DOUBLE UNSIGNED VALUE 0.
           05 :TAG:-bytes-out
               USAGE BINARY-DOUBLE UNSIGNED VALUE 0.
           05 :TAG:-duration-us
               USAGE BINARY-DOUBLE UNSIGNED VALUE 0.
           05 :TAG:-time-us
               USAGE BINARY-DOUBLE VALUE 0.
           05 :TAG:-status
               USAGE BINARY-LONG VALUE 0.
           05 :TAG:-reserved
               USAGE BINARY-LONG UNSIGNED VALUE 0.
