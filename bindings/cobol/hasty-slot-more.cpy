      *> A slot with more fields: pass `&more.slot`, with
      *> `more.slot.size = sizeof more`.
      *>   COPY "hasty-slot-more.cpy" REPLACING ==:TAG:== BY ==name==.
      *> Generated from include/hasty.h by bindings/declare.py.
       01 :TAG:.
           05 :TAG:-slot.
               10 :TAG:-slot-size
                   USAGE BINARY-DOUBLE UNSIGNED VALUE 0.
               10 :TAG:-slot-app
                   USAGE POINTER VALUE NULL.
               10 :TAG:-slot-ticket
                   USAGE BINARY-DOUBLE UNSIGNED VALUE 0.
               10 :TAG:-slot-route
                   USAGE BINARY-LONG VALUE 0.
               10 :TAG:-slot-method
                   USAGE BINARY-LONG VALUE 0.
               10 :TAG:-slot-user-data
                   USAGE POINTER VALUE NULL.
               10 :TAG:-slot-request
                   USAGE POINTER VALUE NULL.
               10 :TAG:-slot-method-text
                   USAGE POINTER VALUE NULL.
               10 :TAG:-slot-path
                   USAGE POINTER VALUE NULL.
               10 :TAG:-slot-query
                   USAGE POINTER VALUE NULL.
               10 :TAG:-slot-params
                   USAGE POINTER VALUE NULL.
               10 :TAG:-slot-header-names
                   USAGE POINTER VALUE NULL.
               10 :TAG:-slot-header-values
                   USAGE POINTER VALUE NULL.
               10 :TAG:-slot-path-len
                   USAGE BINARY-DOUBLE UNSIGNED VALUE 0.
               10 :TAG:-slot-query-len
                   USAGE BINARY-DOUBLE UNSIGNED VALUE 0.
               10 :TAG:-slot-params-len
                   USAGE BINARY-DOUBLE UNSIGNED VALUE 0.
               10 :TAG:-slot-header-count
                   USAGE BINARY-DOUBLE UNSIGNED VALUE 0.
               10 :TAG:-slot-body
                   USAGE POINTER VALUE NULL.
               10 :TAG:-slot-body-len
                   USAGE BINARY-DOUBLE UNSIGNED VALUE 0.
               10 :TAG:-slot-status
                   USAGE BINARY-LONG VALUE 0.
               10 :TAG:-slot-kind
                   USAGE BINARY-LONG VALUE 0.
               10 :TAG:-slot-content-type
                   USAGE POINTER VALUE NULL.
               10 :TAG:-slot-extra-headers
                   USAGE POINTER VALUE NULL.
               10 :TAG:-slot-extra-headers-len
                   USAGE BINARY-DOUBLE UNSIGNED VALUE 0.
               10 :TAG:-slot-reply
                   USAGE POINTER VALUE NULL.
               10 :TAG:-slot-reply-len
                   USAGE BINARY-DOUBLE UNSIGNED VALUE 0.
           05 :TAG:-minor-version
               USAGE BINARY-LONG VALUE 0.
           05 :TAG:-remote-v4
               USAGE BINARY-LONG UNSIGNED VALUE 0.
           05 :TAG:-alike
               USAGE BINARY-DOUBLE UNSIGNED VALUE 0.
